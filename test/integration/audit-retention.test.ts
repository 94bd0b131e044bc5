// Retention in the audit log: bodies go when the policy says so and no earlier, and what was provable stays provable.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { append, EMPTY, leafHash, rootOf, type Tree } from '../../src/audit/merkle.ts';
import { getEntry } from '../../src/audit/rpc/get-entry.ts';
import { getRetentionPolicy } from '../../src/audit/rpc/get-retention-policy.ts';
import { listEntries } from '../../src/audit/rpc/list-entries.ts';
import { openKeeping } from '../../src/audit/keeping.ts';
import { OWN_ACTIONS } from '../../src/audit/own-actions.ts';
import { pruneEntries } from '../../src/audit/rpc/prune-entries.ts';
import { setRetentionPolicy } from '../../src/audit/rpc/set-retention-policy.ts';
import { draftOf } from '../../src/audit/event.ts';
import { ListEntriesRequest } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { openOwnEvents } from '../../src/kernel/own-event.ts';
import { callOf, daysAgo, newEvent, newLog, proves, self, type AuditLog } from './audit-scene.ts';
import { READER } from '../support/audit-reader.ts';
import { append as appendTo, source } from './scratch-log.ts';
import { silentLog } from './scratch.ts';

let log: AuditLog;
/** As an auditor may have kept them. */
let leaves: Buffer[];
beforeAll(async () => {
  log = await newLog();
  await daysAgo(40, () => log.fill(800));
  await log.fill(300);
  leaves = (await log.scratch.sql<{ leaf: Buffer }>('select leaf from entries order by index')).map(({ leaf }) => leaf);
});
afterAll(() => log[Symbol.asyncDispose]());

const setDays = (bodyDays: number | undefined, etag = '') =>
  setRetentionPolicy(log.auditOf(), { bodyDays, etag }, callOf('audit.policy.update', ['bodyDays', 'bodyDaysBefore']));
const prune = (validateOnly = false) =>
  pruneEntries(log.auditOf(), { validateOnly }, callOf('audit.entry.prune', ['count', 'validateOnly']));
const list = async (filter: Partial<ListEntriesRequest>) =>
  (await listEntries(log.auditOf(), ListEntriesRequest.fromPartial({ pageSize: 1_000, ...filter }), READER)).entries;
const bodies = async (): Promise<number> =>
  (await log.scratch.sql<{ n: number }>('select count(*)::int as n from entries where index < 800'))[0]!.n;

describe('the retention policy', () => {
  it('keeps everything until it says otherwise, whoever asks the database', async () => {
    expect(await getRetentionPolicy(log.auditOf(), {})).toMatchObject({ bodyDays: 0 });
    expect(await prune()).toEqual({ entryCount: 0n, prunedBelow: 0n, moreDue: false });
    await expect(log.scratch.sql('select drop_range(0)')).rejects.toMatchObject({ code: '42501' });
  });

  it.each([undefined, -1, 1, 29, 36_501])('is refused with %s days', async (days) => {
    await expect(setDays(days)).rejects.toMatchObject({ violations: [{ field: 'body_days' }] });
  });

  it('is changed by one of two who have read the same, and each change is an entry', async () => {
    const { etag } = await getRetentionPolicy(log.auditOf(), {});
    const changed = await setDays(365, etag);
    expect(changed).toMatchObject({ bodyDays: 365 });
    await expect(setDays(30, etag)).rejects.toMatchObject({ reason: 'ETAG_MISMATCH' });
    const [entry, ...others] = await list({ action: 'audit.policy.update' });
    expect(entry?.event).toMatchObject({
      outcome: 1,
      attributes: new Map([
        ['bodyDays', '365'],
        ['bodyDaysBefore', '0'],
      ]),
    });
    expect(others).toEqual([]);
  });

  it('lets nothing go that is younger, and nothing younger than 30 days whatever it says', async () => {
    expect((await prune()).entryCount).toBe(0n);
    await expect(log.scratch.sql('update keeping set body_days = 1')).rejects.toMatchObject({ code: '23514' });
    await setDays(50);
    await expect(log.scratch.sql('select drop_range(0)')).rejects.toMatchObject({ code: '42501' });
  });
});

describe('pruning', () => {
  it('does not begin while what would go is not what was written: it may be evidence', async () => {
    await setDays(30);
    await log.scratch.sql(`update entries set leaf = leaf || '\\x20' where index = 100`);
    await expect(prune()).rejects.toMatchObject({ reason: 'DATA_CORRUPTED', message: expect.stringContaining('entry 100 ') as string });
    expect(await bodies()).toBe(800);
    await log.scratch.sql('update entries set leaf = $1 where index = 100', [leaves[100]]);
  });

  it('removes whole ranges that are old enough, one a call, after it has recorded the root of each', async () => {
    const had = await bodies();
    expect(await prune(true)).toEqual({ entryCount: 256n, prunedBelow: 0n, moreDue: true });
    expect(await bodies()).toBe(had);
    expect(await prune()).toEqual({ entryCount: 256n, prunedBelow: 256n, moreDue: true });
    expect(await prune()).toEqual({ entryCount: 256n, prunedBelow: 512n, moreDue: true });
    const rootOfLeaves = (some: Buffer[]) =>
      rootOf(some.reduce<Tree>((tree, leaf) => append(tree, leafHash(leaf)), EMPTY)).toString('base64');
    expect((await list({ action: 'audit.range.prune' })).map(({ event }) => Object.fromEntries(event!.attributes))).toEqual([
      { startIndex: '256', endIndex: '512', root: rootOfLeaves(leaves.slice(256, 512)) },
      { startIndex: '0', endIndex: '256', root: rootOfLeaves(leaves.slice(0, 256)) },
    ]);
    const [rest] = await log.scratch.sql<{ n: number }>('select count(*)::int as n from private_fields where index < 512');
    expect(rest?.n).toBe(0);
  });

  it('leaves every proof, for whoever has kept the entry or its receipt', async () => {
    for (const index of [0, 100, 255, 256, 511, 512, 899]) await proves(log.auditOf(), BigInt(index), leaves[index]!);
  });

  it('says of an entry without a body that it was pruned, and from where on bodies are there', async () => {
    for (const index of [0n, 511n])
      await expect(getEntry(log.auditOf(), { index }, READER)).rejects.toMatchObject({
        code: 'NOT_FOUND',
        reason: 'ENTRY_PRUNED',
        metadata: { prunedBelow: '512' },
      });
    expect((await getEntry(log.auditOf(), { index: 512n }, READER)).leaf).toEqual(leaves[512]);
    await expect(getEntry(log.auditOf(), { index: 1_000_000n }, READER)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
    expect((await list({})).at(-1)?.index).toBe(512n);
  });
});

describe('ids of events', () => {
  it('are known for 35 days, also when the bodies are gone; then a repeat would be a new entry', async () => {
    const known = async () => (await log.scratch.sql<{ n: number }>('select count(*)::int as n from event_ids where index < 800'))[0]!.n;
    expect(await known()).toBe(800);
    const forget = async (most: number) => (await log.scratch.sql<{ n: bigint }>('select forget_event_ids($1) as n', [most]))[0]!.n;
    expect([await forget(300), await known()]).toEqual([300n, 500]);
  });
});

describe('by itself', () => {
  it('the log prunes what is due, forgets old ids, has room ahead, and leaves what is young', async () => {
    const { db, auditOf } = log;
    const own = openOwnEvents(self, OWN_ACTIONS);
    await using _ = openKeeping({
      db,
      writer: auditOf().writer,
      auditor: auditOf().auditor,
      bindings: undefined,
      ownEvent: own,
      log: silentLog,
    });
    await expect.poll(async () => (await list({})).at(-1)?.index, { timeout: 10_000 }).toBe(768n);
    const [entry] = await list({ action: 'audit.range.prune' });
    expect(entry?.event).toMatchObject({
      principal: self,
      attributes: new Map([
        ['endIndex', '768'],
        ['root', expect.any(String) as string],
        ['startIndex', '512'],
      ]),
    });
    const [left] = await log.scratch.sql<{ n: number }>('select count(*)::int as n from event_ids where index < 800');
    expect(left?.n).toBe(0);
    await expect(log.scratch.sql('select drop_range(768)')).rejects.toMatchObject({ code: '42501' });
    const [room] = await log.scratch.sql<{ ahead: boolean }>(
      'select max(end_index) - size >= 512 as ahead from ranges, log_state group by size',
    );
    expect(room?.ahead).toBe(true);
  });

  it('hinders neither a restart nor the next append nor the check of itself', async () => {
    await log.writer[Symbol.asyncDispose]();
    const again = await log.open();
    const index = await appendTo(again, draftOf(newEvent(), source));
    await proves(log.auditOf(again), index, (await getEntry(log.auditOf(again), { index }, READER)).leaf);
    await using check = log.checkOf(silentLog, again);
    await expect.poll(() => check.status().passEndTime, { timeout: 10_000 }).toBeDefined();
    expect(check.status().mismatch).toBeUndefined();
  });
});
