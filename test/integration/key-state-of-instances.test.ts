// What an instance says of its root key: how it is, within a second of every change, and why nothing in it can be read.
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role as StoreRole } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance, Instance_KeyState } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { grantUse, newCustomer, newTenantUnder, rotate, type Customer } from '../support/customer-keys.ts';
import { importKey, newImportJob, newMaterial, offerFor } from '../support/import.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const { ENABLED, DISABLED, EXPIRED, MATERIAL_EXPIRED, DESTROY_SCHEDULED, DESTROYED, NOT_GRANTED } = Instance_KeyState;
let operator: Clients;
let app: Clients;
let auditor: Clients;
let customer: Customer;

beforeAll(async () => {
  [operator, app, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'auditor')];
  customer = await newCustomer(stack, operator);
});
afterAll(() => [operator, app, auditor, customer].forEach((one) => one[Symbol.dispose]()));

/** Within a second of what was just done, also in the list. */
const says = (tenant: Tenant, keyState: Instance_KeyState, unreadableReason = '') =>
  vi.waitFor(
    async () => expect(await operator.instances.getInstance({ name: tenant.instance })).toMatchObject({ keyState, unreadableReason }),
    { timeout: 1_000, interval: 20 },
  );
const newReader = async ({ group }: Tenant) => {
  await bind(operator, group, spiffeIdOf('app'), StoreRole.WRITER, StoreRole.SECRETS_READER);
  const { name } = await app.secrets.createSecret({ parent: group, secretId: 'one', payload: text('a value'), ...fresh() });
  return () => app.access.accessSecretVersion({ name: `${name}/versions/1` });
};

describe('an instance under a customer’s root key', () => {
  it('says at its creation how the key is, and since when', async () => {
    const { name } = await customer.newKey();
    await grantUse(customer.manager, name);
    const made = await operator.instances.createInstance({
      instanceId: newId('t'),
      instance: Instance.fromPartial({ rootKey: name }),
      ...fresh(),
    });
    expect(made).toMatchObject({ keyState: ENABLED, unreadableReason: '' });
    expect(Math.abs(made.keyStateTime!.getTime() - made.createTime!.getTime())).toBeLessThan(1_000);
  });

  it('follows every change of the key within a second, and a read is refused with the same reason, naming the key and whom to ask', async () => {
    const { name } = await customer.newKey();
    let grant = await grantUse(customer.manager, name);
    const tenant = await newTenantUnder(operator, name);
    const read = await newReader(tenant);
    const { manager, purger } = customer;
    const steps: [() => Promise<unknown>, Instance_KeyState, string][] = [
      [() => manager.keys.disableRootKey({ name }), DISABLED, 'KEY_DISABLED'],
      [() => manager.keys.enableRootKey({ name }), ENABLED, ''],
      [() => manager.grants.deleteGrant({ name: grant.name, target: name }), NOT_GRANTED, 'KEY_NOT_GRANTED'],
      [async () => (grant = await grantUse(manager, name, tenant.instance)), ENABLED, ''],
      [() => manager.keys.deleteRootKey({ name, force: true, reason: 'a test' }), DESTROY_SCHEDULED, 'KEY_DESTROY_SCHEDULED'],
      [() => manager.keys.restoreRootKey({ name }), DISABLED, 'KEY_DISABLED'],
      [() => manager.keys.enableRootKey({ name }), ENABLED, ''],
      [() => manager.keys.deleteRootKey({ name, force: true, reason: 'a test' }), DESTROY_SCHEDULED, 'KEY_DESTROY_SCHEDULED'],
      [() => purger.keys.destroyRootKey({ name }), DESTROYED, 'KEY_DESTROYED'],
    ];
    const { etag } = await operator.instances.getInstance({ name: tenant.instance });
    for (const [make, state, reason] of steps) {
      await make();
      await says(tenant, state, reason);
      if (reason === '') expect((await read()).payload).toEqual(text('a value'));
      else {
        const refused = await properRefusalOf(read());
        expect(refused).toMatchObject({ code: 'FAILED_PRECONDITION', reason, metadata: { resource: name } });
        expect(refused.message).toMatch(/ask (its Manager|who administers it)|for ever/);
      }
    }
    expect((await operator.instances.getInstance({ name: tenant.instance })).etag).toBe(etag);
    const { instances } = await operator.instances.listInstances({ pageSize: 1_000, showDeleted: true });
    expect(instances.find(({ uid }) => uid === tenant.instanceUid)).toMatchObject({
      keyState: DESTROYED,
      unreadableReason: 'KEY_DESTROYED',
    });
  }, 30_000);

  it('says that its key has expired, and is still read', async () => {
    const { name } = await customer.newKey({ expireTime: new Date(Date.now() + 3_000) });
    await grantUse(customer.manager, name);
    const tenant = await newTenantUnder(operator, name);
    const read = await newReader(tenant);
    await vi.waitFor(async () => expect((await operator.instances.getInstance({ name: tenant.instance })).keyState).toBe(EXPIRED), {
      timeout: 5_000,
      interval: 50,
    });
    await says(tenant, EXPIRED);
    expect((await read()).payload).toEqual(text('a value'));
  });

  it('says that its imported material has expired, and when it is back', async () => {
    const { ring, manager } = customer;
    const material = newMaterial();
    const { name } = await importKey(manager, material, 4, ring);
    await grantUse(manager, name);
    const tenant = await newTenantUnder(operator, name);
    const read = await newReader(tenant);
    await vi.waitFor(
      async () => expect((await operator.instances.getInstance({ name: tenant.instance })).keyState).toBe(MATERIAL_EXPIRED),
      { timeout: 6_000, interval: 50 },
    );
    await says(tenant, MATERIAL_EXPIRED, 'KEY_MATERIAL_EXPIRED');
    expect(await properRefusalOf(read())).toMatchObject({ reason: 'KEY_MATERIAL_EXPIRED', metadata: { resource: name } });
    const job = await newImportJob(manager, 3_600, newId('job'), ring);
    await manager.imports.reimportMaterial({ name, version: 1, material: offerFor(job, material) });
    await says(tenant, ENABLED);
    expect((await read()).payload).toEqual(text('a value'));
  }, 30_000);

  it('that another grant still covers loses nothing by one that is taken back', async () => {
    const { name } = await customer.newKey();
    const grant = await grantUse(customer.manager, name);
    const tenant = await newTenantUnder(operator, name);
    await grantUse(customer.manager, name, tenant.instance);
    await customer.manager.grants.deleteGrant({ name: grant.name, target: name });
    const acknowledged = async () =>
      (await entriesOf(auditor, { resource: name })).filter(
        ({ event }) => event?.action === 'keys.event.acknowledge' && event.attributes.get('change') === 'GRANT_REVOKED',
      );
    await vi.waitFor(async () => expect(await acknowledged()).toHaveLength(1), { timeout: 3_000 });
    await says(tenant, ENABLED);
  });

  it('is corrected within the life of a stream, whatever it said before', async () => {
    const { name } = await customer.newKey();
    await grantUse(customer.manager, name);
    const [tenant, other] = [await newTenantUnder(operator, name), await newTenantUnder(operator, name)];
    await withDatabase(stack, 'store', (owner) =>
      owner.query(`update instances set key_state = 'DESTROYED' where instance_uid = $1`, [tenant.instanceUid]),
    );
    // Any event of the key is enough.
    await rotate(customer.manager, name);
    await says(tenant, ENABLED);
    await says(other, ENABLED);
  });
});

it('an instance with a root key of its own follows it too', async () => {
  const tenant = await newTenant(operator);
  const read = await newReader(tenant);
  await says(tenant, ENABLED);
  await operator.keys.disableRootKey({ name: tenant.rootKey });
  await says(tenant, DISABLED, 'KEY_DISABLED');
  expect(await properRefusalOf(read())).toMatchObject({ reason: 'KEY_DISABLED' });
  await operator.keys.enableRootKey({ name: tenant.rootKey });
  await says(tenant, ENABLED);
});

it('each event is acknowledged by the store, and that is in the audit log', async () => {
  const { name, uid } = await customer.newKey();
  await grantUse(customer.manager, name);
  await newTenantUnder(operator, name);
  await customer.manager.keys.disableRootKey({ name });
  const acknowledged = async () =>
    (await entriesOf(auditor, { resource: name })).map(({ event }) => event!).filter(({ action }) => action === 'keys.event.acknowledge');
  await vi.waitFor(async () => expect(await acknowledged()).toHaveLength(1), { timeout: 3_000 });
  const [{ principal, attributes }] = (await acknowledged()) as [Awaited<ReturnType<typeof acknowledged>>[number]];
  expect(principal).toBe(spiffeIdOf('store'));
  expect(Object.fromEntries(attributes)).toMatchObject({ key: uid, change: 'DISABLED', state: 'DISABLED', service: spiffeIdOf('store') });
});
