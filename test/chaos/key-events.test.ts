// The store and the key service are stopped, killed and started again while root keys change and holds are made: what an instance says
// of its key is right in the end, and what is held is retained at every moment.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startService } from '../../src/dev/parts.ts';
import type { Stack } from '../../src/dev/stack.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Instance_KeyState } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { grantUse, newCustomer, newTenantUnder, type Customer } from '../support/customer-keys.ts';
import { openKeysToAll } from '../support/key-events.ts';
import { startReplica } from '../support/replica.ts';
import { end, pidOf, startStack, withDatabase, type TestStack } from '../support/stack.ts';
import { fresh, type Tenant } from '../support/tenants.ts';

const { ENABLED, DISABLED } = Instance_KeyState;
let own: TestStack;
let stack: Stack;
let operator: Clients;
let auditor: Clients;
let customer: Customer;

beforeAll(async () => {
  own = await startStack();
  ({ stack } = own);
  [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
  customer = await newCustomer(stack, operator);
  await grantUse(customer.manager, customer.ring);
});
afterAll(async () => {
  [operator, auditor, customer].forEach((one) => one[Symbol.dispose]());
  await own[Symbol.asyncDispose]();
});

const start = async (service: 'store' | 'keys'): Promise<void> => {
  const refused = await startService(stack, service);
  if (refused !== undefined) throw new Error(refused);
};
const says = ({ instance: name }: Tenant, keyState: Instance_KeyState, timeout = 10_000, as = operator) =>
  vi.waitFor(async () => expect((await as.instances.getInstance({ name })).keyState).toBe(keyState), { timeout, interval: 50 });
const entriesAbout = async (rootKey: string, action: string) =>
  (await entriesOf(auditor, { resource: rootKey })).filter(({ event }) => event?.action === action);
const newTenant = async (): Promise<Tenant> => newTenantUnder(operator, (await customer.newKey()).name);
const disable = (name: string) => customer.manager.keys.disableRootKey({ name });
const enable = (name: string) => customer.manager.keys.enableRootKey({ name });

describe('a store that is away', () => {
  it('for a while is overdue once for each event, and knows all when it is back', async () => {
    const tenant = await newTenant();
    const { rootKey } = tenant;
    // It looks for what is overdue after a second.
    await using keys = await openKeysToAll(stack);
    using manager = clientsOf(keys.stack, 'operator');
    const pid = await pidOf(stack, 'store');
    process.kill(pid, 'SIGSTOP');
    try {
      await manager.keys.disableRootKey({ name: rootKey });
      await manager.keys.enableRootKey({ name: rootKey });
      await manager.keys.disableRootKey({ name: rootKey });
      await vi.waitFor(async () => expect(await entriesAbout(rootKey, 'keys.event.overdue')).toHaveLength(3), { timeout: 10_000 });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await says(tenant, DISABLED, 15_000);
    await vi.waitFor(async () => expect(await entriesAbout(rootKey, 'keys.event.acknowledge')).toHaveLength(3), { timeout: 15_000 });
    expect(await entriesAbout(rootKey, 'keys.event.overdue')).toHaveLength(3);
  }, 60_000);

  it('because it was killed hears all of it when it starts again', async () => {
    const tenant = await newTenant();
    await end(stack, 'store', 'SIGKILL');
    await disable(tenant.rootKey);
    await start('store');
    await says(tenant, DISABLED);
    await end(stack, 'store', 'SIGKILL');
    await enable(tenant.rootKey);
    await start('store');
    await says(tenant, ENABLED);
    await vi.waitFor(async () => expect(await entriesAbout(tenant.rootKey, 'keys.event.acknowledge')).toHaveLength(2), { timeout: 5_000 });
  }, 60_000);
});

it('a key service that is restarted, or killed, is listened to again', async () => {
  const tenant = await newTenant();
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    await end(stack, 'keys', signal);
    await start('keys');
    await vi.waitFor(() => disable(tenant.rootKey), { timeout: 10_000 });
    await says(tenant, DISABLED);
    await enable(tenant.rootKey);
    await says(tenant, ENABLED);
  }
}, 60_000);

it('after a restore of the key service’s database the instances say what is so there, and what is held is retained again', async () => {
  const tenant = await newTenant();
  const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
  await operator.holds.createHold({ parent: tenant.group, holdId: 'case', hold, ...fresh() });
  await end(stack, 'keys', 'SIGTERM');
  await withDatabase(stack, 'keys', async (sql) => {
    await sql.query('update scopes set retained = false where instance_uid = $1', [tenant.instanceUid]);
    await sql.query(`update root_keys set state = 'DISABLED' where key_uid = (select key_uid from scopes where scope_uid = $1)`, [
      tenant.instanceUid,
    ]);
  });
  await start('keys');
  await says(tenant, DISABLED);
  const registered = () => customer.manager.registrations.listRegistrations({ parent: tenant.rootKey });
  await vi.waitFor(async () => expect((await registered()).registrations.map(({ retained }) => retained)).toEqual([true, true]), {
    timeout: 20_000,
    interval: 200,
  });
}, 60_000);

it('two stores listen, and either of them is enough; none says for long what is not so any more', async () => {
  const tenant = await newTenant();
  await using second = await startReplica(stack, 'store');
  using there = clientsOf(second.stack, 'operator');
  for (let i = 0; i < 5; i++) {
    await disable(tenant.rootKey);
    await enable(tenant.rootKey);
  }
  await disable(tenant.rootKey);
  await says(tenant, DISABLED, 1_000, there);
  await sleep(1_000);
  await says(tenant, DISABLED, 50);
  const acknowledged = await entriesAbout(tenant.rootKey, 'keys.event.acknowledge');
  // Each once, whoever it was.
  expect(new Set(acknowledged.map(({ event }) => event!.attributes.get('event'))).size).toBe(11);
  expect(acknowledged).toHaveLength(11);
  await end(stack, 'store', 'SIGKILL');
  await enable(tenant.rootKey);
  await says(tenant, ENABLED, 1_500, there);
  await start('store');
}, 60_000);

it('a store that is killed again and again while holds come and go leaves none that is not retained', async () => {
  const tenant = await newTenant();
  const asked = new Map<string, 'there' | 'unknown'>();
  const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
  let stopped = false;
  const work = (async () => {
    for (let i = 0; !stopped; i++) {
      const name = `${tenant.group}/holds/case-${i}`;
      asked.set(name, 'unknown');
      const made = operator.holds.createHold({ parent: tenant.group, holdId: `case-${i}`, hold, ...fresh() }, { timeoutMs: 3_000 });
      await made.then(() => asked.set(name, 'there')).catch(() => sleep(20));
      if (asked.get(name) === 'there' && i % 3 > 0)
        await operator.holds.deleteHold({ name, requestId: randomUUID() }, { timeoutMs: 3_000 }).then(
          () => asked.delete(name),
          () => asked.set(name, 'unknown'),
        );
      if ([...asked.values()].includes('there')) {
        // Past the services, some of which are dead.
        const rows = await withDatabase(stack, 'keys', (sql) =>
          sql.query('select retained from scopes where scope_uid = $1', [tenant.groupUid]),
        );
        expect(rows.rows).toEqual([{ retained: true }]);
      }
    }
  })();
  for (let kills = 0; kills < 4; kills++) {
    await sleep(400 + Math.random() * 400);
    await end(stack, 'store', 'SIGKILL');
    await start('store');
  }
  stopped = true;
  await work;
  expect([...asked.values()]).toContain('there');
  const { holds } = await vi.waitFor(() => operator.holds.listHolds({ parent: tenant.group, pageSize: 1_000 }), { timeout: 5_000 });
  for (const { name } of holds) await operator.holds.deleteHold({ name, ...fresh() });
  const retained = async () =>
    (await customer.manager.registrations.listRegistrations({ parent: tenant.rootKey })).registrations.filter((one) => one.retained);
  await vi.waitFor(async () => expect(await retained()).toEqual([]), { timeout: 60_000, interval: 500 });
}, 120_000);
