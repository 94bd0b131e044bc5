// How often the keys of scopes are used: counted in memory, and added every 10 seconds.
import type { Db } from '../kernel/db.ts';
import type { Log } from '../kernel/log.ts';
import { openTally } from '../kernel/tally.ts';
import { addUses } from './sql/usage.ts';

const EVERY_MS = 10_000;

/** `now` is monotonic. */
export type CountUse = (scopeUid: string, operation: 'wrap' | 'unwrap' | 'rewrap', now: number) => void;

export interface Usage extends AsyncDisposable {
  readonly count: CountUse;
}

const COUNTS = { wrap: ['wraps'], unwrap: ['unwraps'], rewrap: ['wraps', 'unwraps'] } as const;

export const openUsage = (db: Db, log: Log): Usage => {
  const tally = openTally<'wraps' | 'unwraps'>({
    kinds: ['wraps', 'unwraps'],
    everyMs: EVERY_MS,
    write: (tallied) =>
      db.transaction((tx) =>
        addUses(
          tx,
          tallied.map(({ key, counts, age }) => ({ scopeUid: key, ...counts, age })),
        ),
      ),
    log,
    what: 'uses of scopes',
  });
  return {
    count: (scopeUid, operation, now) => tally.count(scopeUid, COUNTS[operation], now),
    [Symbol.asyncDispose]: () => tally[Symbol.asyncDispose](),
  };
};
