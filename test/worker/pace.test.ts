// The worker's pace.
import { describe, expect, it } from 'vitest';
import { crowdingOf, FIRST_BATCH, nextBatch, pauseAfter, rowLimit, waitAfter } from '../../src/worker/pace.ts';

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
  it('is as long as the batch took in quiet times, and never longer than a second', () => {
    expect(pauseAfter(40, 1)).toBe(40);
    expect(pauseAfter(15_000, 1)).toBe(1_000);
  });

  it('is longer when the reads of others take longer, so that a purge makes room for them', () => {
    expect(pauseAfter(40, 3)).toBe(120);
    expect(pauseAfter(40, 100)).toBe(320);
  });
});

describe('crowding', () => {
  it('is 1 in quiet times, follows reads that become slower and faster within some batches, and takes no notice of chance', () => {
    const crowding = crowdingOf();
    for (const ms of [0.3, 0.9, 0.2, 0.7]) expect(crowding(ms)).toBe(1);
    const slow = Array.from({ length: 12 }, () => crowding(6));
    expect(slow[0]).toBeGreaterThan(1.5);
    expect(slow.at(-1)).toBeGreaterThan(5);
    const fast = Array.from({ length: 20 }, () => crowding(0.5));
    expect(fast.at(-1)).toBeLessThan(1.1);
  });

  it('becomes the new normal where reads stay slow, as on another machine', () => {
    const crowding = crowdingOf();
    crowding(1);
    for (let i = 0; i < 3_000; i++) crowding(5);
    expect(crowding(5)).toBe(1);
  });
});

describe('the limit of rows', () => {
  /** Rows removed in ten seconds by so many purges that take turns, each batch as large as it may be. */
  const removed = (perSecond: number | undefined, purges: number): number => {
    const limit = rowLimit(perSecond);
    let rows = 0;
    for (let now = 1_000; now < 11_000; now += 10)
      for (let i = 0; i < purges; i++) {
        if (limit.owed(now) > 0) continue;
        const batch = Math.min(limit.largest, 500);
        limit.spend(batch, now);
        rows += batch;
      }
    return rows;
  };

  it('holds for all purges together, and lets them use nearly all of it', () => {
    for (const [perSecond, purges] of [
      [1_000, 1],
      [1_000, 8],
      [7, 3],
      [20_000, 4],
    ] as const) {
      expect(removed(perSecond, purges), `${perSecond}`).toBeLessThanOrEqual(perSecond * 10 * 1.1);
      expect(removed(perSecond, purges), `${perSecond}`).toBeGreaterThan(perSecond * 10 * 0.8);
    }
  });

  it('is none unless it is configured', () => {
    expect(removed(undefined, 2)).toBe(1_000_000);
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
