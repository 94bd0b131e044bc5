// Purges against everything that happens at the same time: several workers on one purge, a key service that is out of the
// worker's reach, thousands that are due at once, and clocks that are wrong.
// Longer: STRONGROOM_DUE=10000 groups, STRONGROOM_OUTAGE_SECONDS=3600 without the key service.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { startService } from '../../src/dev/parts.ts';
import { spiffeIdOf, type Stack } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { end, pidOf, startStack, withDatabase, type TestStack } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, fillTables, reaches, rowsOf } from '../worker/purges.ts';
import { loadGroups, startWorker } from './purge-load.ts';

const { SCHEDULED, DESTROYING_KEYS, DONE } = Purge_State;
const numberOf = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
const DUE = numberOf('STRONGROOM_DUE', 300);
const OUTAGE_SECONDS = numberOf('STRONGROOM_OUTAGE_SECONDS', 12);

let own: TestStack;
let stack: Stack;
let [operator, auditor]: Clients[] = [];
beforeAll(async () => {
  own = await startStack();
  ({ stack } = own);
  [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
});
afterAll(async () => {
  for (const clients of [operator, auditor]) clients?.[Symbol.dispose]();
  await own[Symbol.asyncDispose]();
});

const newReadable = async (retentionSeconds: number): Promise<Tenant> => {
  const tenant = await newTenant(operator!, { retentionSeconds });
  await bind(operator!, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
  return tenant;
};
const newSecret = (parent: string, secretId = newId('s')) =>
  operator!.secrets.createSecret({ parent, secretId, payload: text('value'), ...fresh() });
const newGroup = (parent: string, secretGroupId = newId('g')) => operator!.groups.createSecretGroup({ parent, secretGroupId, ...fresh() });
const read = (secret: string) => operator!.access.accessSecretVersion({ name: `${secret}/versions/1` });
const inStore = (statement: string, ...values: unknown[]) =>
  withDatabase(stack, 'store', async (client) => (await client.query<Record<string, unknown>>(statement, values)).rows);

describe('three workers that take one purge from each other all the time', () => {
  it('count every row once, and make one entry', { timeout: 120_000 }, async () => {
    await using others = new AsyncDisposableStack();
    for (let i = 0; i < 2; i++) others.use(await startWorker(stack));
    const tenant = await newTenant(operator!, { retentionSeconds: 1 });
    await fillTables(stack, tenant.groupUid, 12_000, 2);
    await operator!.groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    const state = async () => (await inStore('select state from purges where uid = $1', tenant.groupUid))[0]?.['state'];
    let taken = 0;
    for (const until = Date.now() + 60_000; (await state()) !== 'DONE' && Date.now() < until; await sleep(30))
      taken += (
        await inStore(
          `update graphile_worker._private_jobs set locked_by = null, locked_at = null, run_at = now() where key = $1 and locked_by is not null
            returning pg_notify('jobs:insert', '{"r":0,"count":3}')`,
          `purge:${tenant.groupUid}`,
        )
      ).length;
    expect(taken).toBeGreaterThan(3);
    expect(countsOf(await reaches(operator!, tenant.groupUid, DONE))).toEqual([1n, 24_000n, 12_000n, 1n]);
    const actions = (await entriesOf(auditor!, { correlationId: tenant.groupUid })).map(({ event }) => event?.action);
    expect(actions.filter((action) => action === 'secrets.group.purge')).toHaveLength(1);
    expect(actions.filter((action) => action === 'secrets.group.purge.start')).toHaveLength(1);
  });
});

describe('while the worker cannot reach the key service', () => {
  it(
    'its purges wait and say why, those that need no key end, and others read their secrets',
    { timeout: (OUTAGE_SECONDS + 150) * 1_000 },
    async () => {
      const other = await newReadable(3_600);
      const secret = await newSecret(other.group);
      const tenant = await newTenant(operator!, { retentionSeconds: 1 });
      const groups = await Promise.all(Array.from({ length: 5 }, () => newGroup(tenant.instance)));
      const keyless = await newSecret(tenant.group);
      await end(stack, 'worker', 'SIGTERM');
      {
        // Nobody listens there.
        await using cut = new AsyncDisposableStack();
        cut.use(await startWorker(stack, { keys: { address: '127.0.0.1:1', spiffeId: spiffeIdOf('keys') } }));
        for (const { name } of groups) await operator!.groups.deleteSecretGroup({ name, ...fresh() });
        await operator!.secrets.deleteSecret({ name: keyless.name, ...fresh() });
        await reaches(operator!, keyless.uid, DONE);
        let reads = 0;
        for (const until = Date.now() + OUTAGE_SECONDS * 1_000; Date.now() < until; reads++) {
          expect((await read(secret.name)).payload).toEqual(text('value'));
          await sleep(5);
        }
        expect(reads).toBeGreaterThan(OUTAGE_SECONDS * 10);
        const waiting = {
          state: DESTROYING_KEYS,
          scopeKeysDestroyedCount: 0n,
          lastError: expect.stringContaining('the key service could not be reached') as string,
        };
        for (const { uid } of groups) expect(await operator!.purges.getPurge({ name: `purges/${uid}` })).toMatchObject(waiting);
      }
      await startService(stack, 'worker');
      for (const { uid } of groups) expect(countsOf(await reaches(operator!, uid, DONE, 80_000))).toEqual([1n, 0n, 0n, 1n]);
    },
  );
});

describe(`${DUE} groups that are due in the same second`, () => {
  it(
    'all end, each with a receipt of its own, and the worker does not grow with their number',
    { timeout: 120_000 + DUE * 60 },
    async () => {
      const tenant = await newTenant(operator!, { retentionSeconds: 1 });
      const uids = await loadGroups(stack, tenant, DUE);
      const left = () => inStore(`select count(*)::int as count from purges where state <> 'DONE' and uid = any($1)`, uids);
      await vi.waitFor(async () => expect(await left()).toEqual([{ count: 0 }]), { timeout: 60_000 + DUE * 50, interval: 200 });
      const [found] = await inStore(
        'select count(distinct receipt)::int as receipts, count(distinct audit_index)::int as entries, sum(scope_keys_destroyed)::int as keys from purges where uid = any($1)',
        uids,
      );
      expect(found).toEqual({ receipts: DUE, entries: DUE, keys: DUE });
      expect((await rowsOf(stack, tenant.instanceUid)).slice(0, 2)).toEqual([1, 1]);
      const peak = Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${await pidOf(stack, 'worker')}/status`, 'utf8'))?.[1]) / 1_024;
      // It is at some 330 MiB after 2,000 as after 10,000.
      expect(peak).toBeLessThan(450);
    },
  );
});

describe('the clock of the database decides', () => {
  const DAY_MS = 86_400_000;
  const near = (time: Date | undefined): number => Math.abs((time?.getTime() ?? 0) - Date.now());

  it.each([
    ['a day ahead', DAY_MS],
    // Further back, and its certificate would not be valid yet.
    ['50 seconds behind', -50_000],
  ])('when the worker’s own is %s: nothing is purged early or late', { timeout: 90_000 }, async (_, shift) => {
    await end(stack, 'worker', 'SIGTERM');
    await using shifted = new AsyncDisposableStack();
    shifted.defer(async () => void (await startService(stack, 'worker')));
    shifted.use(await startWorker(stack, {}, shift));
    const [soon, later] = [await newTenant(operator!, { retentionSeconds: 1 }), await newTenant(operator!, { retentionSeconds: 3_600 })];
    for (const { group } of [soon, later]) await operator!.groups.deleteSecretGroup({ name: group, ...fresh() });
    const purge = await reaches(operator!, soon.groupUid, DONE);
    expect(near(purge.startTime)).toBeLessThan(10_000);
    expect(near(purge.endTime)).toBeLessThan(10_000);
    const { event } = await auditor!.auditLog.getEntry({ index: purge.auditIndex ?? -1n });
    expect(event?.occurTime).toEqual(purge.endTime);
    await sleep(3_000);
    expect((await operator!.purges.getPurge({ name: `purges/${later.groupUid}` })).state).toBe(SCHEDULED);
    await operator!.groups.undeleteSecretGroup({ name: later.group, ...fresh() });
  });

  it('when it jumps ahead, what is due by then is purged; when it jumps back, what was due waits again', { timeout: 60_000 }, async () => {
    const [ahead, back] = [
      await newTenant(operator!, { retentionSeconds: 3_600 }),
      await newTenant(operator!, { retentionSeconds: 3_600 }),
    ];
    for (const { group } of [ahead, back]) await operator!.groups.deleteSecretGroup({ name: group, ...fresh() });
    // The server's clock cannot be moved; the times that it is compared with can.
    await inStore(`update purges set purge_time = purge_time - interval '2 hours' where uid = $1`, ahead.groupUid);
    for (const { groupUid } of [ahead, back])
      await inStore('update graphile_worker._private_jobs set run_at = now() where key = $1', `purge:${groupUid}`);
    await reaches(operator!, ahead.groupUid, DONE);
    const job = async () =>
      (
        await inStore(
          'select run_at > now() + $2::interval as waits from graphile_worker.jobs where key = $1 and locked_at is null',
          `purge:${back.groupUid}`,
          '50 minutes',
        )
      )[0];
    await vi.waitFor(async () => expect(await job()).toEqual({ waits: true }), { timeout: 10_000 });
    expect((await operator!.purges.getPurge({ name: `purges/${back.groupUid}` })).state).toBe(SCHEDULED);
  });
});
