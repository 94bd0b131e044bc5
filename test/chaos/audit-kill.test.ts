// kill -9 of the writer of the audit log at every step of a batch, and SIGSTOP for longer than its turn lasts. What it has
// acknowledged is in the log, once and under that index; what became unknown gets its one place when it is sent again.
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { leafHash } from '../../src/audit/merkle.ts';
import { naiveTree } from '../audit/naive.ts';
import { append, newLog, type ScratchLog } from '../integration/scratch-log.ts';
import type { Job, Line } from '../support/audit-writer-child.ts';
import { startWriter } from '../support/audit-writers.ts';

const ROUNDS = process.env['STRONGROOM_CRASH'] === 'all' ? 1_000 : 51;
const STEPS = ['before', 'during', 'after'] as const;
/** So many are started ahead: to load a program takes longer than to kill it. */
const AHEAD = 2;

vi.setConfig({ testTimeout: ROUNDS * 2_000 });

/** All that the processes have said of events, and what must hold of it. */
const openBook = () => {
  const indexes = new Map<string, bigint>();
  let unknown: string[] = [];
  return {
    indexes,
    /** Sent, and without an answer that counts. */
    unknown: () => unknown,
    read: (lines: readonly Line[]): void => {
      for (const [what, id, text] of lines) {
        if (what === 'sent' && !indexes.has(id)) unknown.push(id);
        if (what !== 'index') continue;
        expect(indexes.get(id) ?? BigInt(text), id).toBe(BigInt(text));
        indexes.set(id, BigInt(text));
      }
      unknown = [...new Set(unknown)].filter((id) => !indexes.has(id));
    },
  };
};
type Book = ReturnType<typeof openBook>;

/** As if the turn of who has it had run out. */
const expire = ({ scratch }: ScratchLog) => scratch.sql(`update log_state set lease_expires = '-infinity'`);

/** The log is whole: every index once, every acknowledged event at its own, the tree that of its leaves. */
const check = async (log: ScratchLog, book: Book): Promise<void> => {
  // PostgreSQL may still be at what the last one has sent: whoever takes over waits for that.
  await expire(log);
  const { tree, checkpoint } = await (await log.open()).current();
  const rows = await log.scratch.sql<{ index: string; event_id: string; leaf: Buffer }>(
    'select e.index::text, event_id, leaf from entries e join event_ids using (index) order by e.index',
  );
  expect(rows.map(({ index }) => Number(index))).toEqual(rows.map((_, i) => i));
  const places = new Map(rows.map(({ index, event_id }) => [event_id, BigInt(index)]));
  expect(places.size).toBe(rows.length);
  for (const [id, index] of book.indexes) expect(places.get(id), id).toBe(index);
  expect(tree.size).toBe(BigInt(rows.length));
  expect(checkpoint.root).toEqual(naiveTree(rows.map(({ leaf }) => leafHash(leaf))).range(0, rows.length));
};

describe('a writer that is killed', () => {
  it(`${ROUNDS} times, before, while and after it commits, has lost nothing and written nothing twice`, async () => {
    await using log = await newLog();
    await log.writer[Symbol.asyncDispose]();
    const book = openBook();
    const ahead = Array.from({ length: AHEAD }, startWriter);
    const deaths = { before: 0, during: 0, after: 0 };
    for (let round = 0; round < ROUNDS; round++) {
      const child = ahead.shift()!;
      if (round + AHEAD < ROUNDS) ahead.push(startWriter());
      const step = STEPS[round % 3]!;
      child.begin({ database: log.scratch.config, again: book.unknown(), death: { step, batch: randomInt(1, 5), afterMs: randomInt(4) } });
      await child.ended;
      expect(child.lines().length).toBeGreaterThan(0);
      book.read(child.lines());
      deaths[step]++;
      await expire(log);
    }
    expect(Math.min(...Object.values(deaths))).toBeGreaterThanOrEqual(Math.floor(ROUNDS / 3));
    expect(book.indexes.size).toBeGreaterThan(ROUNDS);
    await check(log, book);
  });
});

describe('a writer that is stopped', () => {
  it('is followed by another in less than five seconds, finds that out when it goes on, and writes again when that one is gone', async () => {
    await using log = await newLog();
    await log.writer[Symbol.asyncDispose]();
    const book = openBook();
    await using child = startWriter();
    const job: Job = { database: log.scratch.config, again: [] };
    child.begin(job);
    const said = (what: Line[0]) => child.lines().filter(([kind]) => kind === what).length;
    await vi.waitFor(() => expect(said('index')).toBeGreaterThan(100), { timeout: 10_000, interval: 20 });
    const other = await log.open();
    await expect(append(other)).rejects.toMatchObject({ reason: 'AUDIT_STANDBY', code: 'UNAVAILABLE' });

    child.signal('SIGSTOP');
    const begun = performance.now();
    await vi.waitFor(() => append(other), { timeout: 10_000, interval: 50 });
    expect(performance.now() - begun).toBeLessThan(5_000);
    for (let i = 0; i < 20; i++) await append(other);
    expect(said('refused')).toBe(0);

    const before = said('index');
    child.signal('SIGCONT');
    const reasons = () => new Set(child.lines().flatMap(([kind, , reason]) => (kind === 'refused' ? [reason] : [])));
    await vi.waitFor(() => expect(reasons()).toContain('AUDIT_STANDBY'), { timeout: 5_000, interval: 20 });
    // What was under way when it was stopped has an outcome that it does not know.
    reasons().forEach((reason) => expect(['AUDIT_STANDBY', 'AUDIT_UNAVAILABLE']).toContain(reason));
    await sleep(200);
    await append(other);
    // Given back at once: the other one need not wait until it has run out.
    await other[Symbol.asyncDispose]();
    await vi.waitFor(() => expect(said('index')).toBeGreaterThan(before + 100), { timeout: 2_500, interval: 20 });
    child.signal('SIGKILL');
    await child.ended;
    book.read(child.lines());
    await check(log, book);
  });
});
