// The worker's pace.
import { describe, expect, it } from 'vitest';
import { FIRST_BATCH, nextBatch, pauseAfter, waitAfter } from '../../src/worker/pace.ts';

/** Sizes of the batches that follow each other when a row takes so long. */
const sizes = (msPerRow: number, count: number): number[] => {
  const all = [FIRST_BATCH];
  while (all.length < count) all.push(nextBatch(all.at(-1)!, all.at(-1)! * msPerRow));
  return all;
};

describe('the size of a batch', () => {
  it('settles where a transaction takes some 50 ms, so that callers of the store wait no longer for a row', () => {
    for (const msPerRow of [0.02, 0.1, 0.5]) {
      const settled = sizes(msPerRow, 10).at(-1)!;
      expect(settled * msPerRow).toBeGreaterThan(45);
      expect(settled * msPerRow).toBeLessThan(55);
    }
  });

  it('at most doubles at once, because one quick batch proves little', () => {
    const grown = sizes(0.001, 8);
    grown.slice(1).forEach((size, i) => expect(size).toBeLessThanOrEqual(2 * grown[i]!));
  });

  it('stays within 50 and 5000, whatever the database does', () => {
    expect(sizes(0, 20).at(-1)).toBe(5_000);
    expect(sizes(1_000, 20).at(-1)).toBe(50);
  });
});

describe('the pause after a batch', () => {
  it('is as long as the batch took, and never longer than half a second', () => {
    expect(pauseAfter(40)).toBe(40);
    expect(pauseAfter(15_000)).toBe(500);
  });
});

describe('the wait after failures', () => {
  it('grows from a second to a minute and no further, so that a purge goes on soon after what it needs is back', () => {
    const waits = [1, 2, 3, 4, 5, 6, 7, 8, 50, 1_000].map((failures) => waitAfter(failures, 1));
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000, 60_000, 60_000]);
  });

  it('is spread over a quarter of its length', () => {
    expect(waitAfter(3, 0)).toBe(3_000);
    expect(waitAfter(3, 0.5)).toBe(3_500);
  });
});
