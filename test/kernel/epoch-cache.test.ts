import { describe, expect, it } from 'vitest';
import { openEpochCache } from '../../src/kernel/epoch-cache.ts';

const open = (max = 10) => {
  const [loads, dropped]: [string[], string[]] = [[], []];
  let count = 0;
  const cache = openEpochCache({
    queryEpoch: async () => 1n,
    load: async (key) => {
      loads.push(key);
      return `${key}${++count}`;
    },
    max,
    drop: (value) => void dropped.push(value),
  });
  return { cache, loads, dropped };
};

describe('a cached value that its reader knows to be old', () => {
  it('is let go of once, however many readers say so', async () => {
    const { cache, loads, dropped } = open();
    await cache.confirm();
    const seen = Array.from({ length: 5 }, () => cache.get('a'));
    await Promise.all(seen);
    const again = await Promise.all(
      seen.map((one) => {
        cache.forget('a', one);
        return cache.get('a');
      }),
    );
    expect(again).toEqual(Array.from({ length: 5 }, () => 'a2'));
    expect(loads).toEqual(['a', 'a']);
    expect(dropped).toEqual(['a1']);
  });

  it('does not take others with it', async () => {
    const { cache, loads } = open();
    await cache.confirm();
    const [a] = [cache.get('a'), cache.get('b')];
    await a;
    cache.forget('a', a);
    expect(await cache.get('b')).toBe('b2');
    expect(loads).toEqual(['a', 'b']);
  });
});

describe('a full cache', () => {
  it('lets the oldest go when one more comes', async () => {
    const { cache, dropped } = open(2);
    await cache.confirm();
    for (const key of ['a', 'b', 'c']) await cache.get(key);
    await Promise.resolve();
    expect(dropped).toEqual(['a1']);
  });
});
