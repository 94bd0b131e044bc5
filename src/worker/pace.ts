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

/** As long as the batch took: half of the time is the callers'. More, by as much as their reads are slower than in quiet times. */
export const pauseAfter = (tookMs: number, crowding: number): number => Math.min(tookMs * Math.min(Math.max(crowding, 1), 8), 1_000);

/** Differences below this are chance. */
const LEAST_MS = 1;

/**
 * How much slower a tiny read is than in quiet times, from one measurement after another: 1 or more. Quiet is what was least,
 * forgotten slowly, so that another machine or network becomes the new normal.
 */
export const crowdingOf = (): ((readMs: number) => number) => {
  let quiet = Infinity;
  let level: number | undefined;
  return (readMs) => {
    const ms = Math.max(readMs, LEAST_MS);
    quiet = Math.min(ms, quiet * 1.001);
    level = level === undefined ? ms : level + (ms - level) / 4;
    return Math.max(1, level / quiet);
  };
};

/** At most so many rows a second in the long run, whoever removes them; for each row of a batch the next one waits. */
export const rowLimit = (perSecond: number | undefined) => {
  let freeAt = 0;
  return {
    /** A batch is a fifth of a second's rows at most, so that the rest of the second stays quiet. */
    largest: perSecond === undefined ? LARGEST : Math.max(1, Math.min(LARGEST, Math.floor(perSecond / 5))),
    owed: (now: number): number => Math.max(0, freeAt - now),
    spend: (rows: number, now: number): void => {
      if (perSecond !== undefined) freeAt = Math.max(freeAt, now) + (rows * 1_000) / perSecond;
    },
  };
};

const LONGEST_WAIT_MS = 60_000;

/** After the first failure a second, then twice as long each time, at most a minute; spread, so that many do not come at once. */
export const waitAfter = (failures: number, random: number): number =>
  Math.round(Math.min(LONGEST_WAIT_MS, 1_000 * 2 ** Math.min(failures - 1, 16)) * (0.75 + random / 4));
