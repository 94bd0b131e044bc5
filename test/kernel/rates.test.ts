import { describe, expect, it } from 'vitest';
import { openRates } from '../../src/kernel/rates.ts';

describe('a rate', () => {
  it('lets a second’s worth through at once, and then one after another', () => {
    const rates = openRates();
    const at = (now: number) => rates.take('a', 10, now);
    expect(Array.from({ length: 10 }, () => at(0))).toEqual(Array<number>(10).fill(0));
    expect(at(0)).toBe(100);
    expect(at(99.5)).toBe(1);
    expect(at(100)).toBe(0);
    expect(at(100)).toBe(100);
    expect(at(5_000)).toBe(0);
  });

  it('says how long to wait such that the wait is enough', () => {
    const rates = openRates();
    let now = 0;
    for (let i = 0; i < 1_000; i++) {
      const wait = rates.take('a', 7, now);
      if (wait > 0) {
        now += wait;
        expect(rates.take('a', 7, now)).toBe(0);
      }
    }
  });

  it('is every key’s own', () => {
    const rates = openRates();
    for (let i = 0; i < 50; i++) rates.take('greedy', 10, 0);
    expect(rates.take('other', 10, 0)).toBe(0);
  });

  it('is not used up by what was refused', () => {
    const rates = openRates();
    for (let i = 0; i < 1_000; i++) rates.take('a', 10, 0);
    expect(rates.used('a', 10, 0)).toBe(10);
    expect(rates.take('a', 10, 100)).toBe(0);
  });

  it('goes into debt for one call that is as many, and the next ones wait for that', () => {
    const rates = openRates();
    expect(rates.take('a', 10, 0)).toBe(0);
    rates.charge('a', 10, 0, 29);
    expect(rates.take('a', 10, 0)).toBe(2_100);
    expect(rates.take('a', 10, 2_100)).toBe(0);
    expect(rates.take('b', 10, 0)).toBe(0);
  });

  it('is refilled as time goes by', () => {
    const rates = openRates();
    for (let i = 0; i < 6; i++) rates.take('a', 10, 0);
    expect([0, 300, 600, 9_000].map((now) => rates.used('a', 10, now))).toEqual([6, 3, 0, 0]);
    expect(rates.used('b', 10, 0)).toBe(0);
  });

  it('over a million of a second is no less than that by rounding', () => {
    const rates = openRates();
    expect(Array.from({ length: 1_000_000 }, () => rates.take('a', 1_000_000, 123_456.789)).filter((wait) => wait > 0).length).toBeLessThan(
      10,
    );
  });

  it('remembers no key for much longer than it must', () => {
    const rates = openRates();
    for (let i = 0; i < 100_000; i++) rates.take(`caller ${i}`, 1_000, i);
    expect(rates.size).toBeLessThanOrEqual(10_001);
  });
});
