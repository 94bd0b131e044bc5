// How far the feed of changes was read. Numbers are given before the commit: a lower one may appear after a higher one, or never. Pure.
import type { ChangeRow, Snapshot } from './sql/changes.ts';

export interface Position {
  /** The highest number that was seen. */
  readonly head: bigint;
  /** Numbers below that were not, each with a transaction, when it is known, that began after the one that was given the number. */
  readonly missing: ReadonlyMap<bigint, bigint | undefined>;
}

/** Up to this, all was seen that ever comes: where a reader may go on later. */
export const settledTo = ({ head, missing }: Position): bigint => {
  let settled = head;
  for (const id of missing.keys()) if (id <= settled) settled = id - 1n;
  return settled;
};

/** Whether the next look is to tell a number that bounds those of the transactions under way. */
export const needsNext = ({ missing }: Position): boolean => [...missing.values()].includes(undefined);

/** After a look: `rows` are in order, those of `missing` that have appeared and the next ones after `head`. */
export const advance = ({ head, missing }: Position, rows: readonly Pick<ChangeRow, 'id'>[], { ended, next }: Snapshot): Position => {
  const seen = new Set(rows.map(({ id }) => id));
  const still = new Map<bigint, bigint | undefined>();
  for (const [id, later] of missing) {
    // Its transaction has ended, and it is not there: it was rolled back.
    const isLost = later !== undefined && later <= ended;
    if (!seen.has(id) && !isLost) still.set(id, later ?? next ?? undefined);
  }
  let last = head;
  for (const { id } of rows) {
    if (id <= last) continue;
    for (let gap = last + 1n; gap < id; gap++) still.set(gap, undefined);
    last = id;
  }
  return { head: last, missing: still };
};
