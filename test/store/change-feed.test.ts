// The position in the feed of changes: what is late is waited for, what never comes is not, and no token leads past either.
import { describe, expect, it } from 'vitest';
import { advance, needsNext, settledTo, type Position } from '../../src/store/change-feed.ts';

const START: Position = { head: 10n, missing: new Map() };
const rows = (...ids: bigint[]) => ids.map((id) => ({ id }));
const at = (ended: bigint, next: bigint | null = null) => ({ ended, next, pruned_to: 0n });

describe('the position in the feed', () => {
  it('moves with what comes in order', () => {
    const position = advance(START, rows(11n, 12n), at(100n));
    expect(position).toEqual({ head: 12n, missing: new Map() });
    expect(settledTo(position)).toBe(12n);
    expect(needsNext(position)).toBe(false);
  });

  it('stays before a number that was given and has not appeared, while what comes after it is told', () => {
    const position = advance(START, rows(11n, 13n, 14n), at(100n));
    expect(position.head).toBe(14n);
    expect(settledTo(position)).toBe(11n);
    expect(needsNext(position)).toBe(true);
  });

  it('goes on when the late one has come', () => {
    const before = advance(START, rows(11n, 13n), at(100n));
    expect(settledTo(advance(before, rows(12n, 14n), at(101n)))).toBe(14n);
  });

  it('goes on without one that was rolled back, when all transactions have ended that may have been given it', () => {
    const noticed = advance(START, rows(12n), at(100n));
    const bounded = advance(noticed, [], at(104n, 107n));
    expect(settledTo(bounded)).toBe(10n);
    expect(needsNext(bounded)).toBe(false);
    expect(settledTo(advance(bounded, [], at(106n)))).toBe(10n);
    expect(settledTo(advance(bounded, [], at(107n)))).toBe(12n);
  });
});
