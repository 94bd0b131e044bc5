// Rates by key, as token buckets: each key may do so much a second, and a second's worth at once. What is kept of a key is the time
// at which its bucket will be full again (the generic cell rate algorithm); one that is full is as one that was never used. Pure.
const PRUNE_AT = 10_000;

export interface Rates {
  /** Takes one of `perSecond`. 0 if it was there; else after how many milliseconds it will be. */
  take(key: string, perSecond: number, now: number): number;
  /** Takes `count`, also if they are not there: then there is nothing until they are made up for. */
  charge(key: string, perSecond: number, now: number, count: number): void;
  /** How many of the last second's worth are taken. */
  used(key: string, perSecond: number, now: number): number;
  /** Of how many keys anything is kept. */
  readonly size: number;
}

export const openRates = (): Rates => {
  const fullAt = new Map<string, number>();
  let pruneAt = PRUNE_AT;
  const prune = (now: number): void => {
    for (const [key, at] of fullAt) if (at <= now) fullAt.delete(key);
    pruneAt = Math.max(PRUNE_AT, 2 * fullAt.size);
  };
  return {
    take: (key, perSecond, now) => {
      const each = 1_000 / perSecond;
      const next = Math.max(fullAt.get(key) ?? 0, now) + each;
      // A hair over a second is rounding, not a token.
      const early = next - now - 1_000;
      if (early > 1e-6) return Math.ceil(early);
      if (fullAt.size >= pruneAt) prune(now);
      fullAt.set(key, next);
      return 0;
    },
    charge: (key, perSecond, now, count) => void fullAt.set(key, Math.max(fullAt.get(key) ?? 0, now) + (count * 1_000) / perSecond),
    used: (key, perSecond, now) => Math.round((Math.max(0, (fullAt.get(key) ?? 0) - now) * perSecond) / 1_000),
    get size() {
      return fullAt.size;
    },
  };
};
