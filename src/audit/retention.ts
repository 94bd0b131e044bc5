// Retention: after their time, bodies of entries go, one partition at a time, the oldest first. Hashes stay, so that what was proved
// can be proved for ever. Before a body goes it is hashed again, and the root of what goes is in the log.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RetentionPolicy } from '../gen/strongroom/audit/v1/audit_admin_service.ts';
import type { Auditor, Event } from '../kernel/audit.ts';
import type { Db } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { etagOf } from '../kernel/etag.ts';
import type { EntryDraft } from '../kernel/table.ts';
import { append, EMPTY, rootOf, type Tree } from './merkle.ts';
import { followBindings, type Sources } from './readers.ts';
import { hashesOfTree, rehash } from './rehash.ts';
import { dropRange, type DueRange, type PolicyRow } from './sql/ranges.ts';

export const POLICY = 'log/retentionPolicy';
export const LEAST_DAYS = 30;
export const MOST_DAYS = 36_500;

export const policyEtag = ({ revision }: Pick<PolicyRow, 'revision'>): string => etagOf('retention', revision);

export const toPolicy = (row: PolicyRow): RetentionPolicy => ({
  bodyDays: row.body_days ?? 0,
  etag: policyEtag(row),
  updateTime: row.update_time,
});

/** Some milliseconds, in which nothing else is done; then others have as long. */
const STEP = 256n;

/** The root of the subtree that a partition is, from its bodies. */
const rootOfBodies = async (db: Db, { start_index: start, end_index: end }: DueRange, signal: AbortSignal): Promise<Buffer> => {
  let tree: Tree = EMPTY;
  for (let from = start; from < end;) {
    signal.throwIfAborted();
    const begun = performance.now();
    const next = from + STEP < end ? from + STEP : end;
    const hashes = await hashesOfTree(db, from, next);
    const difference = hashes ? await rehash(db, from, hashes) : { index: from, what: 'a tile is not there' };
    if (difference)
      throw new AppError(
        'DATA_CORRUPTED',
        `entry ${difference.index} is not what was written (${difference.what}); nothing is pruned before that is cleared up`,
      );
    for (const hash of hashes ?? []) tree = append(tree, hash);
    from = next;
    await sleep(performance.now() - begun);
  }
  return rootOf(tree);
};

/** Removes the bodies of a partition that is due; `eventOf` makes the entry that is durable before. What is made from bodies is made first. */
export const prune = async (
  { db, auditor, bindings }: { db: Db; auditor: Auditor; bindings: Sources | undefined },
  range: DueRange,
  eventOf: (resource: string, facts: EntryDraft) => Event,
  signal: AbortSignal,
): Promise<void> => {
  const root = await rootOfBodies(db, range, signal);
  if (bindings) await followBindings(db, bindings);
  const attributes = { startIndex: String(range.start_index), endIndex: String(range.end_index), root: root.toString('base64') };
  await auditor.append([eventOf(`log/${range.start_index}`, { attributes })], Date.now() + 10_000);
  await db.transaction((tx) => dropRange(tx, range.start_index));
};
