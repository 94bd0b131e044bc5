// Legal holds under a customer's root key: what is held is kept by the key service too, from before the hold is answered until after it is
// gone, whatever crashes in between; and no purge waits for what nobody holds any more.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { RootKey_State } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { grantUse, newCustomer, newTenantUnder, type Customer } from '../support/customer-keys.ts';
import { withDatabase } from '../support/stack.ts';
import { fresh, newTenant, text, type Tenant } from '../support/tenants.ts';
import { reaches, setRetention } from '../worker/purges.ts';

const stack = inject('stack');
const { PURGE, DELETE } = Hold_Effect;
let operator: Clients;
let store: Clients;
let auditor: Clients;
let customer: Customer;

beforeAll(async () => {
  [operator, store, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'store'), clientsOf(stack, 'auditor')];
  customer = await newCustomer(stack, operator);
  await grantUse(customer.manager, customer.ring);
});
afterAll(() => [operator, store, auditor, customer].forEach((one) => one[Symbol.dispose]()));

const newHeld = async (): Promise<Tenant & { key: string; other: string; otherUid: string }> => {
  const { name: key } = await customer.newKey();
  const tenant = await newTenantUnder(operator, key);
  const other = await operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: 'other', ...fresh() });
  return { ...tenant, key, other: other.name, otherUid: other.uid };
};
const hold = (parent: string, holdId = 'case', effect: Hold['effect'] = PURGE) =>
  operator.holds.createHold({ parent, holdId, hold: Hold.fromPartial({ effect, reason: 'a case in court' }), ...fresh() });
const release = (name: string) => operator.holds.deleteHold({ name, ...fresh() });
/** UUIDs of the scopes under a key that are retained. */
const retained = async (key: string): Promise<string[]> =>
  (await customer.manager.registrations.listRegistrations({ parent: key })).registrations
    .filter((one) => one.retained)
    .map(({ scope }) => scope.slice('scopes/'.length));
const forceDelete = (key: string) => customer.manager.keys.deleteRootKey({ name: key, force: true, reason: 'a test' });
const sql = <Row extends object>(service: 'store' | 'keys', statement: string, values: unknown[]): Promise<Row[]> =>
  withDatabase(stack, service, async (owner) => (await owner.query<Row & Record<string, unknown>>(statement, values)).rows);
const unsettled = async (instanceUid: string): Promise<number> =>
  (await sql('store', 'select from unsettled_retention where instance_uid = $1', [instanceUid])).length;

describe('a hold under a customer’s root key', () => {
  it.each([
    ['PURGE', PURGE],
    ['DELETE', DELETE],
  ] as const)('on an instance (%s) retains it and all its groups, also those that come later', async (_, effect) => {
    const { key, instance, instanceUid, groupUid, otherUid } = await newHeld();
    const { name } = await hold(instance, 'case', effect);
    expect(await retained(key)).toEqual([instanceUid, groupUid, otherUid]);
    const later = await operator.groups.createSecretGroup({ parent: instance, secretGroupId: 'later', ...fresh() });
    expect(await retained(key)).toEqual([instanceUid, groupUid, otherUid, later.uid]);
    expect((await refusalOf(forceDelete(key))).reason).toBe('SCOPE_RETAINED');
    await release(name);
    expect(await retained(key)).toEqual([]);
    expect(await unsettled(instanceUid)).toBe(0);
    expect((await forceDelete(key)).purgeTime).toBeDefined();
  });

  it('on a group or a secret retains that group, and the instance, and no other group', async () => {
    const { key, instanceUid, group, groupUid } = await newHeld();
    await operator.secrets.createSecret({ parent: group, secretId: 'one', payload: text('a value'), ...fresh() });
    for (const parent of [group, `${group}/secrets/one`]) {
      const { name } = await hold(parent);
      expect(await retained(key)).toEqual([instanceUid, groupUid]);
      await release(name);
      expect(await retained(key)).toEqual([]);
    }
  });

  it('is outlived by what another one still holds', async () => {
    const { key, instance, instanceUid, group, groupUid, other, otherUid } = await newHeld();
    const [on, above, twice] = [await hold(group), await hold(instance), await hold(group, 'second')];
    await hold(other);
    await release(above.name);
    expect(await retained(key)).toEqual([instanceUid, groupUid, otherUid]);
    await release(on.name);
    expect(await retained(key)).toEqual([instanceUid, groupUid, otherUid]);
    await release(twice.name);
    expect(await retained(key)).toEqual([instanceUid, otherUid]);
  });

  it('made and ended by many at once leaves what its last state says', async () => {
    const { key, group, groupUid, instanceUid } = await newHeld();
    const ids = Array.from({ length: 6 }, (_, i) => `case-${i}`);
    const made = await Promise.all(ids.map((id) => hold(group, id)));
    const [kept, ...ended] = made;
    await Promise.all([...ended.map(({ name }) => release(name)), hold(group, 'late')]);
    expect(await retained(key)).toEqual([instanceUid, groupUid]);
    await Promise.all([release(kept!.name), release(`${group}/holds/late`)]);
    expect(await retained(key)).toEqual([]);
    expect(await unsettled(instanceUid)).toBe(0);
  });

  it('works too while the key cannot be used, so that its destruction is stopped', async () => {
    const { key, group, groupUid, instanceUid } = await newHeld();
    await forceDelete(key);
    await hold(group);
    expect(await retained(key)).toEqual([instanceUid, groupUid]);
    expect((await refusalOf(customer.purger.keys.destroyRootKey({ name: key }))).reason).toBe('SCOPE_RETAINED');
    // Its time comes, and it stays, however often somebody looks at what is due.
    await sql('keys', `update root_keys set purge_time = now() where key_uid = (select key_uid from scopes where scope_uid = $1)`, [
      groupUid,
    ]);
    const { name: another } = await customer.newKey();
    await customer.manager.keys.disableRootKey({ name: another });
    await sleep(500);
    expect((await customer.manager.keys.getRootKey({ name: key })).state).toBe(RootKey_State.DESTROY_SCHEDULED);
    await release(`${group}/holds/case`);
    await customer.manager.keys.enableRootKey({ name: another });
    await vi.waitFor(async () => expect((await customer.manager.keys.getRootKey({ name: key })).state).toBe(RootKey_State.DESTROYED), {
      timeout: 5_000,
    });
  });

  it('asks nothing of the key service for an instance with a root key of its own', async () => {
    const tenant = await newTenant(operator);
    const begin = await sizeOf(auditor);
    const { name } = await hold(tenant.instance);
    await release(name);
    const asked = await entriesOf(auditor, { resource: `scopes/${tenant.groupUid}` }, begin);
    expect(asked).toEqual([]);
    expect(await unsettled(tenant.instanceUid)).toBe(0);
  });
});

describe('a purge under a customer’s root key', () => {
  it('that has waited for a hold begins when it is gone, and is not stopped by what was retained', async () => {
    const { key, instance, instanceUid, group } = await newHeld();
    const { name } = await hold(group);
    await setRetention(operator, instance, 1);
    await operator.instances.deleteInstance({ name: instance, ...fresh() });
    await vi.waitFor(
      async () => expect((await operator.purges.getPurge({ name: `purges/${instanceUid}` })).lastError).toContain('held by'),
      { timeout: 10_000 },
    );
    await release(name);
    const purge = await reaches(operator, instanceUid, Purge_State.DONE, 20_000);
    expect(purge.lastError).toBe('');
    expect(await customer.manager.registrations.listRegistrations({ parent: key })).toMatchObject({ registrations: [] });
  }, 40_000);

  it('ends also where something was left retained by a crash, once that is noticed', async () => {
    const { instance, instanceUid, groupUid } = await newHeld();
    // As a store leaves it that is killed when it has asked the key service, and before it has made the hold.
    for (const uid of [instanceUid, groupUid])
      await store.registrations.setRetention({ scope: `scopes/${uid}`, retained: true, reason: 'a test' });
    await sql('store', `insert into unsettled_retention (instance_uid, create_time) values ($1, now() - interval '22 seconds')`, [
      instanceUid,
    ]);
    await setRetention(operator, instance, 1);
    await operator.instances.deleteInstance({ name: instance, ...fresh() });
    await vi.waitFor(
      async () => expect((await operator.purges.getPurge({ name: `purges/${instanceUid}` })).lastError).toContain('must be kept'),
      { timeout: 10_000 },
    );
    await reaches(operator, instanceUid, Purge_State.DONE, 50_000);
    expect(await unsettled(instanceUid)).toBe(0);
  }, 70_000);
});

describe('what a crash leaves behind', () => {
  it('of a hold that was not made is released', async () => {
    const { key, instanceUid, groupUid } = await newHeld();
    await store.registrations.setRetention({ scope: `scopes/${groupUid}`, retained: true, reason: 'a test' });
    await sql('store', `insert into unsettled_retention (instance_uid, create_time) values ($1, now() - interval '1 minute')`, [
      instanceUid,
    ]);
    await vi.waitFor(async () => expect(await retained(key)).toEqual([]), { timeout: 15_000, interval: 200 });
  });

  it('of one that was deleted is released, and of one that stands is retained again', async () => {
    const { key, instanceUid, group, groupUid, otherUid } = await newHeld();
    await hold(group);
    // As after a restore of the key service's database.
    await sql('keys', 'update scopes set retained = not retained where scope_uid = any($1::uuid[])', [[instanceUid, groupUid, otherUid]]);
    await sql('store', `insert into unsettled_retention (instance_uid, create_time) values ($1, '-infinity')`, [instanceUid]);
    await vi.waitFor(async () => expect(await retained(key)).toEqual([instanceUid, groupUid]), { timeout: 15_000, interval: 200 });
  });

  it('of a hold that is being made meanwhile is left to it', async () => {
    const { key, instanceUid, group, groupUid } = await newHeld();
    await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        await sql('store', `insert into unsettled_retention (instance_uid, create_time) values ($1, '-infinity')`, [instanceUid]);
        await hold(group, `case-${i}`);
      }),
    );
    await vi.waitFor(async () => expect(await unsettled(instanceUid)).toBe(0), { timeout: 15_000, interval: 200 });
    expect(await retained(key)).toEqual([instanceUid, groupUid]);
  });
});
