// Where in the log a time is: record times never decrease with the index, so a search by halves finds it without an index of its own.
import type { Queryable } from '../kernel/db.ts';
import { selectRecordTime } from './sql/entries.ts';

/** The first index in [from, end) of an entry that the log took at this time or later; `end` if there is none. */
export const indexAtTime = async (db: Queryable, from: bigint, end: bigint, time: Date): Promise<bigint> => {
  let [low, high] = [from, end];
  while (low < high) {
    const middle = (low + high) / 2n;
    const taken = await selectRecordTime(db, middle);
    // One that is not there was pruned meanwhile: it is older than whatever is asked for.
    if (!taken || taken < time) low = middle + 1n;
    else high = middle;
  }
  return low;
};
