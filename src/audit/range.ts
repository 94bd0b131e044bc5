// Where in the log a window of time is.
import type { Queryable } from '../kernel/db.ts';
import { selectIndexAt, type Range } from './sql/entries.ts';

export const ABOVE_ALL = 2n ** 63n - 1n;

/** From the first entry at `start` to the last one before `end`; all if neither is given. */
export const rangeOf = async (db: Queryable, start: Date | undefined, end: Date | undefined): Promise<Range> => ({
  from: start ? await selectIndexAt(db, start) : 0n,
  end: end ? await selectIndexAt(db, end) : ABOVE_ALL,
});
