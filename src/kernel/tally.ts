// Counts uses in memory, so that it costs a call next to nothing, and has them written every few seconds and at the end. A crash
// loses what came since.
import { describe, type Log } from './log.ts';
import { openLoop } from './loop.ts';

/** What comes beyond is not counted until the next write. */
const MAX_KEYS = 100_000;

export interface Tallied<Kind extends string> {
  readonly key: string;
  readonly counts: Readonly<Record<Kind, number>>;
  /** Seconds since the last use. */
  readonly age: number;
}

export interface Tally<Kind extends string> extends AsyncDisposable {
  /** `now` is monotonic. */
  count(key: string, kinds: readonly Kind[], now: number): void;
}

export interface TallyOptions<Kind extends string> {
  readonly kinds: readonly Kind[];
  readonly everyMs: number;
  /** Adds to what was written before; what it rejects is tried again. */
  readonly write: (tallied: readonly Tallied<Kind>[]) => Promise<void>;
  readonly log: Log;
  /** For the log: of what. */
  readonly what: string;
}

interface Entry<Kind extends string> {
  readonly counts: Record<Kind, number>;
  usedAt: number;
}

export const openTally = <Kind extends string>({ kinds, everyMs, write, log, what }: TallyOptions<Kind>): Tally<Kind> => {
  let entries = new Map<string, Entry<Kind>>();

  const entryOf = (key: string): Entry<Kind> | undefined => {
    const known = entries.get(key);
    if (known || entries.size >= MAX_KEYS) return known;
    const added = { counts: Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>, usedAt: 0 };
    entries.set(key, added);
    return added;
  };

  const putBack = (taken: ReadonlyMap<string, Entry<Kind>>): void => {
    for (const [key, { counts, usedAt }] of taken) {
      const entry = entryOf(key);
      if (!entry) return;
      for (const kind of kinds) entry.counts[kind] += counts[kind];
      entry.usedAt = Math.max(entry.usedAt, usedAt);
    }
  };

  const flush = async (): Promise<void> => {
    if (entries.size === 0) return;
    const taken = entries;
    entries = new Map();
    const now = performance.now();
    try {
      await write([...taken].map(([key, { counts, usedAt }]) => ({ key, counts, age: (now - usedAt) / 1000 })));
    } catch (error) {
      putBack(taken);
      log.warn({ error: describe(error) }, `${what} could not be written; trying again`);
    }
  };

  const loop = openLoop(async () => {
    await flush();
    return everyMs;
  });
  loop.kick();
  return {
    count: (key, used, now) => {
      const entry = entryOf(key);
      if (!entry) return;
      for (const kind of used) entry.counts[kind]++;
      entry.usedAt = now;
    },
    [Symbol.asyncDispose]: async () => {
      await loop[Symbol.asyncDispose]();
      await flush();
    },
  };
};
