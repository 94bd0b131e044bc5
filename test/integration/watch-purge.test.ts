// What is seen of purges while they run: a stream of one, with estimate and rate, and the queue of all.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Purge_State, type Purge } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, unbind } from '../support/tenants.ts';
import { fillTables } from '../worker/purges.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const auditor = clientsOf(stack, 'auditor');
const path = newId('watcher');
let watcher: Clients;
beforeAll(async () => {
  watcher = await clientsAs(stack, path);
});
afterAll(() => [operator, auditor, watcher].forEach((clients) => clients[Symbol.dispose]()));

const { groups, secrets, holds, purges } = operator;
const { SCHEDULED, REMOVING_ROWS, DONE } = Purge_State;

interface Seen {
  purge: Purge;
  atMs: number;
}
const watch = async (name: string, timeoutMs = 40_000): Promise<Seen[]> => {
  const seen: Seen[] = [];
  for await (const purge of operator.watchPurge({ name }, { timeoutMs })) seen.push({ purge, atMs: performance.now() });
  return seen;
};
const removed = (purge: Purge) => purge.versionsRemovedCount + purge.secretsRemovedCount + purge.groupsRemovedCount;

describe('a purge that is watched', () => {
  it('is told from its schedule to its end, at most ten times a second, with a true estimate and a rate', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 2 });
    await fillTables(stack, tenant.groupUid, 24_000, 2);
    await groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    const name = `purges/${tenant.groupUid}`;
    const [seen, also] = await Promise.all([watch(name), watch(name)]);

    const states = seen.map(({ purge }) => purge.state);
    expect(states[0]).toBe(SCHEDULED);
    expect(states.at(-1)).toBe(DONE);
    expect(states).toEqual(states.toSorted((a, b) => a - b));
    expect(also.at(-1)!.purge).toEqual(seen.at(-1)!.purge);
    expect(seen.at(-1)!.purge.receipt).not.toBe('');
    const counts = seen.map(({ purge }) => removed(purge));
    expect(counts).toEqual(counts.toSorted((a, b) => Number(a - b)));
    expect(counts.at(-1)).toBe(72_001n);

    const removing = seen.filter(({ purge }) => purge.state === REMOVING_ROWS && removed(purge) > 1_000n);
    expect(removing.length).toBeGreaterThan(0);
    for (const { purge } of removing) {
      expect(purge.estimatedRowsCount).toBe(72_001n);
      expect(purge.rowsPerSecond).toBeGreaterThan(100);
      expect(purge.estimatedEndTime!.getTime()).toBeLessThan(Date.now() + 60_000);
    }
    const lasted = seen.at(-1)!.atMs - seen[0]!.atMs;
    expect(seen.length).toBeLessThanOrEqual(lasted / 100 + 2);
    // One entry for each watch, at its begin.
    const told = (await entriesOf(auditor, { resource: name })).filter(({ event }) => event?.action === 'secrets.purge.watch');
    expect(told.map(({ event }) => event?.outcome)).toEqual([Event_Outcome.SUCCESS, Event_Outcome.SUCCESS]);
  });

  it('says when it is held, and by what', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1 });
    const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
    const { name: held } = await holds.createHold({ parent: tenant.group, holdId: 'case', hold, ...fresh() });
    await groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    const lastErrors: string[] = [];
    for await (const { lastError } of operator.watchPurge({ name: `purges/${tenant.groupUid}` }, { timeoutMs: 30_000 })) {
      if (lastErrors.at(-1) !== lastError) lastErrors.push(lastError);
      if (lastErrors.length === 2) await holds.deleteHold({ name: held, ...fresh() });
    }
    expect(lastErrors).toEqual(['', `held by ${held}; it begins when the last hold is deleted`, '']);
  });

  it('ends the stream when an undelete has called it off', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
    await groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    const ended = properRefusalOf(watch(`purges/${tenant.groupUid}`));
    await sleep(300);
    await groups.undeleteSecretGroup({ name: tenant.group, ...fresh() });
    expect(await ended).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is not there for who asks for another, or has no right; and within a second not any more for who has lost it', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
    await groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    const name = `purges/${tenant.groupUid}`;
    expect(await properRefusalOf(watch(`purges/${tenant.instanceUid}`))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await properRefusalOf(watch('purges/x'))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const next = () => watcher.watchPurge({ name }).next();
    expect(await properRefusalOf(next())).toMatchObject({ code: 'PERMISSION_DENIED' });

    await bind(operator, 'system', spiffe(path), Role.READER);
    const stream = watcher.watchPurge({ name }, { timeoutMs: 30_000 });
    expect((await stream.next()).value).toMatchObject({ name });
    const ended = properRefusalOf(stream.next());
    await sleep(500);
    await unbind(operator, 'system', spiffe(path), Role.READER);
    const revoked = performance.now();
    expect(await ended).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(performance.now() - revoked).toBeLessThan(1_000);
  });
});

describe('the queue', () => {
  it('counts what waits, what is held, what runs and what fails', async () => {
    const before = await purges.getQueueStatus({});
    const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
    const newDeleted = async (secretId: string) => {
      const { name } = await secrets.createSecret({ parent: tenant.group, secretId, payload: text('v'), ...fresh() });
      return secrets.deleteSecret({ name, ...fresh() });
    };
    const [, held, failed] = [await newDeleted('waits'), await newDeleted('held'), await newDeleted('failed')];
    const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
    await holds.createHold({ parent: held.name, holdId: 'case', hold, ...fresh() });
    // Two fall due; one of them is not deleted, which nobody but somebody with the owner's rights can bring about.
    await withDatabase(stack, 'store', async (owner) => {
      await owner.query(`update secrets set state = 'ACTIVE' where secret_uid = $1`, [failed.uid]);
      await owner.query(`update purges set purge_time = now() - interval '5 seconds' where uid = any($1::uuid[])`, [
        [held.uid, failed.uid],
      ]);
      await owner.query(`select graphile_worker.remove_job('purge:' || uid) from unnest($1::uuid[]) uid`, [[held.uid, failed.uid]]);
    });
    const now = async () => {
      const { heldCount, failedCount, lag } = await purges.getQueueStatus({});
      return [heldCount - before.heldCount, failedCount - before.failedCount, (lag?.seconds ?? 0n) >= 5n];
    };
    await expect.poll(now, { timeout: 15_000 }).toEqual([1n, 1n, true]);
    expect((await purges.getQueueStatus({})).scheduledCount).toBeGreaterThan(0n);
    await withDatabase(stack, 'store', (owner) => owner.query(`update secrets set state = 'DELETED' where secret_uid = $1`, [failed.uid]));
    await expect.poll(now, { timeout: 40_000 }).toEqual([1n, 0n, expect.any(Boolean)]);
    await expect.poll(async () => (await purges.getPurge({ name: `purges/${failed.uid}` })).state, { timeout: 10_000 }).toBe(DONE);
  });
});
