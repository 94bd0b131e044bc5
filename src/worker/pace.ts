// How fast the worker goes: batches that keep a transaction short, pauses that leave the database to the callers of the
// store, and waits after failures that never grow to hours. Pure.

const TARGET_MS = 50;
const SMALLEST = 50;
const LARGEST = 5_000;

export const FIRST_BATCH = 200;

/** The size that would have taken some 50 ms, at most double and at least half of the last one. */
export const nextBatch = (size: number, tookMs: number): number => {
  const factor = Math.min(2, Math.max(0.5, TARGET_MS / Math.max(tookMs, 1)));
  return Math.min(LARGEST, Math.max(SMALLEST, Math.round(size * factor)));
};

/** As long as the batch took: half of the time is the callers'. */
export const pauseAfter = (tookMs: number): number => Math.min(tookMs, 500);

const LONGEST_WAIT_MS = 60_000;

/** After the first failure a second, then twice as long each time, at most a minute; spread, so that many do not come at once. */
export const waitAfter = (failures: number, random: number): number =>
  Math.round(Math.min(LONGEST_WAIT_MS, 1_000 * 2 ** Math.min(failures - 1, 16)) * (0.75 + random / 4));
