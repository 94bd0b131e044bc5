// How often the keys of scopes are used: counted in memory, so that it costs a call next to nothing, and written every 10 seconds
// and at the end. A crash loses what came since.
import type { Db } from '../kernel/db.ts';
import { describe, type Log } from '../kernel/log.ts';
import { openLoop } from '../kernel/loop.ts';
import { addUses } from './sql/usage.ts';

const EVERY_MS = 10_000;
/** Scopes; what comes beyond is not counted until the next write. */
const MAX_SCOPES = 100_000;

interface Count {
  wraps: number;
  unwraps: number;
  /** Monotonic. */
  usedAt: number;
}

/** `now` is monotonic. */
export type CountUse = (scopeUid: string, operation: 'wrap' | 'unwrap' | 'rewrap', now: number) => void;

export interface Usage extends AsyncDisposable {
  readonly count: CountUse;
}

export const openUsage = (db: Db, log: Log): Usage => {
  let counts = new Map<string, Count>();

  const countOf = (scopeUid: string): Count | undefined => {
    const known = counts.get(scopeUid);
    if (known || counts.size >= MAX_SCOPES) return known;
    const added = { wraps: 0, unwraps: 0, usedAt: 0 };
    counts.set(scopeUid, added);
    return added;
  };

  const putBack = (taken: ReadonlyMap<string, Count>): void => {
    for (const [scopeUid, { wraps, unwraps, usedAt }] of taken) {
      const count = countOf(scopeUid);
      if (!count) return;
      count.wraps += wraps;
      count.unwraps += unwraps;
      count.usedAt = Math.max(count.usedAt, usedAt);
    }
  };

  const flush = async (): Promise<void> => {
    if (counts.size === 0) return;
    const taken = counts;
    counts = new Map();
    const now = performance.now();
    const uses = [...taken].map(([scopeUid, { usedAt, ...count }]) => ({ scopeUid, ...count, age: (now - usedAt) / 1000 }));
    try {
      await db.transaction((tx) => addUses(tx, uses));
    } catch (error) {
      putBack(taken);
      log.warn({ error: describe(error) }, 'uses of scopes could not be written; trying again');
    }
  };

  const loop = openLoop(async () => {
    await flush();
    return EVERY_MS;
  });
  loop.kick();
  return {
    count: (scopeUid, operation, now) => {
      const count = countOf(scopeUid);
      if (!count) return;
      if (operation !== 'unwrap') count.wraps++;
      if (operation !== 'wrap') count.unwraps++;
      count.usedAt = now;
    },
    [Symbol.asyncDispose]: async () => {
      await loop[Symbol.asyncDispose]();
      await flush();
    },
  };
};
