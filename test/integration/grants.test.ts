// What a customer has of his own root key: nothing uses it without his grant, and what he takes back is taken back, at once and
// without leaving anything that he could not clean up.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Scope_State } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { Grant, Role } from '../../src/gen/strongroom/keys/v1/grant_service.ts';
import { Role as StoreRole } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { grantTo, grantUse, newCustomer, newTenantUnder, newWrap, type Customer } from '../support/customer-keys.ts';
import { bind, fresh, newId, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const storeId = spiffeIdOf('store');
let operator: Clients;
let app: Clients;
let store: Clients;
let worker: Clients;
let customer: Customer;

beforeAll(async () => {
  [operator, app, store, worker] = [
    clientsOf(stack, 'operator'),
    clientsOf(stack, 'app'),
    clientsOf(stack, 'store'),
    clientsOf(stack, 'worker'),
  ];
  customer = await newCustomer(stack, operator);
});
afterAll(() => [operator, app, store, worker, customer].forEach((one) => one[Symbol.dispose]()));

/** A secret in the tenant's group, and how to read it. */
const newSecret = async ({ group }: Tenant) => {
  await bind(operator, group, spiffeIdOf('app'), StoreRole.WRITER, StoreRole.SECRETS_READER);
  const { name } = await app.secrets.createSecret({ parent: group, secretId: 'one', payload: text('a value'), ...fresh() });
  return () => app.access.accessSecretVersion({ name: `${name}/versions/1` });
};

describe('an instance on a customer’s root key', () => {
  it('is refused without a grant, and nobody learns whether the key exists', async () => {
    const { name } = await customer.newKey();
    for (const rootKey of [name, `${customer.ring}/keys/none`, 'keyRings/none/keys/none'])
      expect(await refusalOf(newTenantUnder(operator, rootKey)), rootKey).toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'KEY_NOT_GRANTED',
        metadata: { resource: rootKey },
      });
  });

  it('works by a grant on the key or on its key ring, for this instance or for any', async () => {
    for (const on of ['key', 'ring'] as const)
      for (const whose of ['this', 'any'] as const) {
        using another = await newCustomer(stack, operator);
        const { name } = await another.newKey();
        const instanceId = newId('t');
        await grantUse(another.manager, on === 'key' ? name : another.ring, whose === 'this' ? `instances/${instanceId}` : 'instances/-');
        const read = await newSecret(await newTenantUnder(operator, name, instanceId));
        expect((await read()).payload?.value, `${on}, ${whose}`).toEqual({ $case: 'text', value: 'a value' });
      }
  });

  it('is refused with a grant for another instance, to another service, or without an instance', async () => {
    const { name } = await customer.newKey();
    await grantUse(customer.manager, name, 'instances/another');
    await grantTo(customer.manager, spiffeIdOf('worker'), Role.READER, name, 'instances/-');
    await grantTo(customer.manager, storeId, Role.READER, name);
    expect((await refusalOf(newTenantUnder(operator, name))).reason).toBe('KEY_NOT_GRANTED');
  });

  it('keeps to the key, whatever its alias comes to mean', async () => {
    const { name } = await customer.newKey({ aliases: ['current'] });
    await grantUse(customer.manager, name);
    const tenant = await newTenantUnder(operator, `${customer.ring}/keys/current`);
    expect(tenant.rootKey).toBe(name);
    expect((await customer.manager.keys.getRootKey({ name: `${customer.ring}/keys/current` })).name).toBe(name);
  });

  it('is listed as a use of the key, even before it has a group, and blocks its deletion', async () => {
    const { name } = await customer.newKey();
    await grantUse(customer.manager, name);
    await operator.instances.createInstance({ instanceId: newId('t'), instance: Instance.fromPartial({ rootKey: name }), ...fresh() });
    expect((await customer.manager.keys.getRootKey({ name })).scopeCount).toBe(1n);
    expect(await refusalOf(customer.manager.keys.deleteRootKey({ name }))).toMatchObject({
      reason: 'KEY_IN_USE',
      metadata: { scopes: '1' },
    });
  });
});

describe('a grant that is taken back', () => {
  it('ends reads within a second, and given again brings them back', async () => {
    const { name } = await customer.newKey();
    const grant = await grantUse(customer.manager, name);
    const read = await newSecret(await newTenantUnder(operator, name));
    await read();
    await customer.manager.grants.deleteGrant({ name: grant.name, target: grant.target });
    expect(await refusalOf(read())).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'KEY_NOT_GRANTED' });
    await grantUse(customer.manager, name);
    expect((await read()).payload?.value).toEqual({ $case: 'text', value: 'a value' });
  });

  it('leaves nothing that cannot be deregistered and deleted', async () => {
    const { name } = await customer.newKey();
    const grant = await grantUse(customer.manager, name);
    const { scope } = await newWrap(store, name);
    await customer.manager.grants.deleteGrant({ name: grant.name, target: grant.target });
    expect((await refusalOf(customer.manager.keys.deleteRootKey({ name }))).reason).toBe('KEY_IN_USE');
    expect((await worker.envelopes.destroyScope({ name: scope })).state).toBe(Scope_State.DESTROYED);
    expect((await customer.manager.keys.deleteRootKey({ name })).purgeTime).toBeDefined();
  });

  it('twice is taken back once, and what is another target’s is not touched', async () => {
    const grant = await grantTo(customer.manager, 'spiffe://strongroom.internal/x', Role.READER, customer.ring);
    const { name: key } = await customer.newKey();
    await customer.manager.grants.deleteGrant({ name: grant.name, target: key });
    expect((await operator.grants.getGrant({ name: grant.name })).name).toBe(grant.name);
    for (let i = 0; i < 2; i++) await customer.manager.grants.deleteGrant({ name: grant.name, target: customer.ring });
    expect((await refusalOf(operator.grants.getGrant({ name: grant.name }))).code).toBe('NOT_FOUND');
  });
});

describe('grants', () => {
  it('made twice are one, and are listed from both sides', async () => {
    const { name } = await customer.newKey();
    const [once, again] = [await grantUse(customer.manager, name), await grantUse(customer.manager, name)];
    expect(again).toEqual(once);
    expect((await customer.manager.grants.listGrants({ target: name })).grants).toEqual([once]);
    const own: Grant[] = [];
    for (let pageToken = ''; ;) {
      const page = await store.grants.listOwnGrants({ pageToken, pageSize: 1_000 });
      own.push(...page.grants);
      if ((pageToken = page.nextPageToken) === '') break;
    }
    expect(own).toContainEqual(once);
    expect(own.every(({ principal }) => principal === storeId)).toBe(true);
  });

  it('are refused where they make no sense, the field named', async () => {
    const good = { principal: storeId, role: Role.READER, target: customer.ring, instance: '' };
    const refused = (change: Partial<Grant>) =>
      refusalOf(operator.grants.createGrant({ grant: Grant.fromPartial({ ...good, ...change }) })).then(({ reason, fields }) => [
        reason,
        ...fields,
      ]);
    expect(await refused({ principal: 'me' })).toEqual(['INVALID_FIELD', 'grant.principal']);
    expect(await refused({ role: Role.UNSPECIFIED })).toEqual(['INVALID_FIELD', 'grant.role']);
    expect(await refused({ target: 'system' })).toEqual(['MALFORMED_NAME', 'grant.target']);
    expect(await refused({ instance: 'x' })).toEqual(['MALFORMED_NAME', 'grant.instance']);
    expect(await refused({ role: Role.MANAGER, instance: 'instances/x' })).toEqual(['INVALID_FIELD', 'grant.instance']);
    expect(await refused({ target: 'keyRings/none' })).toEqual(['NOT_FOUND']);
    expect(await refused({ target: `${customer.ring}/keys/none` })).toEqual(['NOT_FOUND']);
    expect((await refusalOf(operator.grants.createGrant({}))).fields).toEqual(['grant.target']);
  });

  it('on one key give no right to its neighbours or its ring', async () => {
    const [mine, other] = [await customer.newKey(), await customer.newKey()];
    await grantTo(customer.manager, spiffeIdOf('app2'), Role.MANAGER, mine.name);
    using app2 = clientsOf(stack, 'app2');
    expect((await app2.keys.disableRootKey({ name: mine.name })).name).toBe(mine.name);
    expect((await refusalOf(app2.keys.disableRootKey({ name: other.name }))).code).toBe('PERMISSION_DENIED');
    expect((await refusalOf(app2.keys.listRootKeys({ parent: customer.ring }))).code).toBe('PERMISSION_DENIED');
    expect((await refusalOf(grantTo(app2, spiffeIdOf('app'), Role.READER, customer.ring))).code).toBe('PERMISSION_DENIED');
    expect((await refusalOf(app2.keys.createRootKey({ parent: customer.ring, rootKeyId: 'x' }))).code).toBe('PERMISSION_DENIED');
  });

  it('by a key’s ID count for a call by its alias', async () => {
    const { name } = await customer.newKey({ aliases: ['by-alias'] });
    await grantTo(customer.manager, spiffeIdOf('app2'), Role.READER, `${customer.ring}/keys/by-alias`);
    using app2 = clientsOf(stack, 'app2');
    for (const asked of [name, `${customer.ring}/keys/by-alias`]) expect((await app2.keys.getRootKey({ name: asked })).name).toBe(name);
  });
});

it('a customer’s key needs the instance’s name, and a provider’s none', async () => {
  const { name } = await customer.newKey();
  await grantUse(customer.manager, name);
  const register = (instance: string) =>
    store.envelopes.createScope({ scopeUid: randomUUID(), rootKey: name, instanceUid: randomUUID(), instance });
  for (const instance of ['', 'instances/-', 'x', 'instances/X'])
    expect(await refusalOf(register(instance)), instance).toMatchObject({ reason: 'MALFORMED_NAME', fields: ['instance'] });
});
