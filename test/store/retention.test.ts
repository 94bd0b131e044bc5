import { describe, expect, it } from 'vitest';
import { assertProtects, levelsOf, type Retention } from '../../src/store/retention.ts';

const NONE = { instance: null, group: null, secret: null, version: null };
const before = levelsOf(1_000, { ...NONE, group: 2_000, version: 50 });
const reasonOf = (after: Retention, on = true, stays = true): string => {
  try {
    assertProtects('instances/i', { ...before, purge_protection: on }, { ...after, purge_protection: stays });
    return 'passes';
  } catch (error) {
    return (error as { reason: string }).reason;
  }
};

describe('purge protection', () => {
  it.each<[string, Retention, string]>([
    ['nothing', before, 'passes'],
    ['a longer time at every level', levelsOf(1_001, { instance: 5_000, group: 2_001, secret: 3_000, version: 51 }), 'passes'],
    ['a shorter time', levelsOf(999, { ...NONE, group: 2_000, version: 50 }), 'PURGE_PROTECTED'],
    [
      'a shorter time where each level has a longer one',
      levelsOf(1, { instance: 1_000, group: 2_000, secret: 1_000, version: 50 }),
      'passes',
    ],
    ['a shorter time of groups', levelsOf(1_000, { ...NONE, group: 1_999, version: 50 }), 'PURGE_PROTECTED'],
    ['no time of their own for groups', levelsOf(1_000, { ...NONE, version: 50 }), 'PURGE_PROTECTED'],
    ['versions destroyed at once', levelsOf(1_000, { ...NONE, group: 2_000 }), 'PURGE_PROTECTED'],
  ])('with %s as the change', (_, after, expected) => {
    expect(reasonOf(after)).toBe(expected);
  });

  it('stays, and where there is none everything may change', () => {
    expect(reasonOf(before, true, false)).toBe('PURGE_PROTECTED');
    expect(reasonOf(levelsOf(1, NONE), false, false)).toBe('passes');
    expect(reasonOf(levelsOf(1, NONE), false, true)).toBe('passes');
  });
});
