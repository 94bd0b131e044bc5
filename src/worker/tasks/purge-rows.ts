// REMOVING_ROWS: what is unreadable by now goes row by row, in short transactions with pauses between them.
import { setTimeout as pause } from 'node:timers/promises';
import { metrics } from '../../kernel/metrics.ts';
import {
  countRemoved,
  estimateRows,
  releasePurges,
  removeGroups,
  removeScope,
  removeSecrets,
  removeVersions,
  START,
  type Counter,
} from '../../store/sql/purge-rows.ts';
import { lockPurge, recordRowsRemoved, type Purge } from '../../store/sql/purge.ts';
import { FIRST_BATCH, nextBatch, pauseAfter } from '../pace.ts';
import type { Turn, Worker } from '../worker.ts';

const RELEASE = 200;

/** What refers to a row goes before it. */
const TABLES: readonly [Counter, typeof removeVersions][] = [
  ['versions', removeVersions],
  ['secrets', removeSecrets],
  ['groups', removeGroups],
];

/** False if the turn is over, or the purge no longer in this state. */
const empty = async (worker: Worker, purge: Purge, turn: Turn, [kind, remove]: (typeof TABLES)[number]): Promise<boolean> => {
  const { traffic } = worker;
  const { rows_cursor: cursor } = purge;
  let [after, size, since] = [cursor?.counter === kind ? cursor : START, FIRST_BATCH, performance.now()];
  for (;;) {
    await pause(traffic.owed(performance.now()), undefined, { signal: turn.signal });
    if (turn.isOver()) return false;
    const limit = Math.min(size, traffic.largest);
    const start = performance.now();
    const batch = await worker.db.transaction(async (tx) => {
      if (!(await lockPurge(tx, purge.uid, 'REMOVING_ROWS'))) return undefined;
      const removed = await remove(tx, purge, after, limit);
      const perSecond = (removed.removed * 1_000) / Math.max(1, performance.now() - since);
      if (removed.removed > 0) await countRemoved(tx, purge.uid, kind, removed, perSecond);
      return removed;
    });
    if (!batch) return false;
    since = performance.now();
    const tookMs = since - start;
    traffic.spend(batch.removed, since);
    metrics.purgeRows.inc({ kind }, batch.removed);
    worker.log.debug({ job: purge.uid, state: kind, count: batch.removed, ms: Math.round(tookMs) }, 'rows removed');
    if (batch.removed < limit) return true;
    size = nextBatch(size, tookMs);
    after = batch.last;
    await pause(pauseAfter(tookMs, await traffic.crowding()), undefined, { signal: turn.signal });
  }
};

export const removeRows = async (worker: Worker, purge: Purge, turn: Turn): Promise<void> => {
  if (purge.kind !== 'VERSION') {
    if (purge.rows_estimated === 0n)
      await worker.db.transaction(async (tx) => {
        if (await lockPurge(tx, purge.uid, 'REMOVING_ROWS')) await estimateRows(tx, purge);
      });
    const reached = TABLES.findIndex(([kind]) => kind === purge.rows_cursor?.counter);
    for (const table of TABLES.slice(Math.max(0, reached))) if (!(await empty(worker, purge, turn, table))) return;
  }
  await worker.db.transaction(async (tx) => {
    if (await lockPurge(tx, purge.uid, 'REMOVING_ROWS')) await removeScope(tx, purge);
  });
  // Only now: what a taken-over purge reports as gone is gone.
  for (let released = RELEASE; released > 0;) {
    released = await worker.db.transaction(async (tx) =>
      (await lockPurge(tx, purge.uid, 'REMOVING_ROWS')) ? releasePurges(tx, purge, RELEASE) : 0,
    );
  }
  await worker.db.transaction(async (tx) => {
    if (await lockPurge(tx, purge.uid, 'REMOVING_ROWS')) await recordRowsRemoved(tx, purge.uid);
  });
};
