// Counts in memory: what was counted is written once, also when a write fails in between, and at the end.
import { describe, expect, it, vi } from 'vitest';
import { openTally, type Tallied } from '../../src/kernel/tally.ts';
import { silentLog as log } from '../integration/scratch.ts';

describe('a tally', () => {
  it('is written as sums by key, with the age of the last use, and what could not be written is kept', async () => {
    const written: Tallied<'a' | 'b'>[] = [];
    let fails = true;
    const write = async (tallied: readonly Tallied<'a' | 'b'>[]): Promise<void> => {
      if (fails) throw new Error('no database');
      written.push(...tallied);
    };
    const tally = openTally<'a' | 'b'>({ kinds: ['a', 'b'], everyMs: 5, write, log, what: 'uses' });
    const now = performance.now();
    tally.count('one', ['a'], now - 2_000);
    tally.count('one', ['a', 'b'], now - 1_000);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(written).toEqual([]);
    tally.count('one', ['a'], now - 3_000);
    tally.count('two', ['b'], now);
    fails = false;
    await vi.waitFor(() => expect(written).toHaveLength(2));
    expect(written.map(({ key, counts }) => ({ key, counts }))).toEqual([
      { key: 'one', counts: { a: 3, b: 1 } },
      { key: 'two', counts: { a: 0, b: 1 } },
    ]);
    expect(written[0]!.age).toBeGreaterThanOrEqual(1);
    tally.count('three', ['a'], now);
    await tally[Symbol.asyncDispose]();
    expect(written.at(-1)).toMatchObject({ key: 'three', counts: { a: 1, b: 0 } });
  });
});
