import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { batcher, type BatchOptions } from '../../src/kernel/batch.ts';
import { AppError } from '../../src/kernel/errors.ts';

const soon = () => Date.now() + 5_000;
const numbers = (options: Omit<BatchOptions<number, number>, 'late'>) => batcher<number, number>({ late: 'KEYS_UNAVAILABLE', ...options });

describe('natural batching', () => {
  it('sends the first call at once and what arrives meanwhile as one batch', async () => {
    const batches: number[][] = [];
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const add = numbers({
      max: 100,
      queue: 100,
      run: async (items) => {
        batches.push(items);
        if (batches.length === 1) await gate;
        return items.map((i) => i * 2);
      },
    });
    const first = add(1, soon());
    await setImmediate();
    const rest = [2, 3, 4].map((i) => add(i, soon()));
    release();
    expect(await Promise.all([first, ...rest])).toEqual([2, 4, 6, 8]);
    expect(batches).toEqual([[1], [2, 3, 4]]);
  });

  it('gives each item its own result: one that fails does not harm its neighbours', async () => {
    const add = numbers({
      max: 10,
      queue: 10,
      run: async (items) => items.map((i) => (i === 2 ? new AppError('NOT_FOUND', 'two') : i)),
    });
    const [one, two, three] = await Promise.allSettled([add(1, soon()), add(2, soon()), add(3, soon())]);
    expect(one).toEqual({ status: 'fulfilled', value: 1 });
    expect(two).toMatchObject({ status: 'rejected', reason: { reason: 'NOT_FOUND' } });
    expect(three).toEqual({ status: 'fulfilled', value: 3 });
  });

  it('fails every item when the batch fails, and goes on with the next', async () => {
    let down = true;
    const add = numbers({
      max: 10,
      queue: 10,
      run: async (items) => {
        if (down) throw new AppError('KEYS_UNAVAILABLE', 'down');
        return items;
      },
    });
    await expect(add(1, soon())).rejects.toMatchObject({ reason: 'KEYS_UNAVAILABLE' });
    down = false;
    expect(await add(2, soon())).toBe(2);
  });

  it('refuses what does not fit into the queue instead of growing', async () => {
    const add = numbers({ max: 1, queue: 2, run: () => new Promise(() => undefined) });
    void add(1, soon());
    await setImmediate();
    void add(2, soon());
    void add(3, soon());
    await expect(add(4, soon())).rejects.toMatchObject({ reason: 'TOO_MANY_REQUESTS', retryAfterMs: 100 });
  });

  it('counts what items weigh: in a batch, and in the queue', async () => {
    const sent: number[][] = [];
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const add = numbers({
      max: 10,
      queue: 24,
      weight: (i) => i,
      run: async (items) => {
        sent.push(items);
        await gate;
        return items;
      },
    });
    const first = add(1, soon());
    await setImmediate();
    const waiting = [4, 5, 3, 12].map((i) => add(i, soon()));
    await expect(add(1, soon())).rejects.toMatchObject({ reason: 'TOO_MANY_REQUESTS' });
    release();
    await Promise.all([first, ...waiting]);
    // One that is too large for any batch goes alone.
    expect(sent).toEqual([[1], [4, 5], [3], [12]]);
    expect(await add(24, soon())).toBe(24);
  });

  it('does not send an item whose deadline has passed in the queue', async () => {
    const sent: number[] = [];
    const add = numbers({
      max: 10,
      queue: 10,
      run: async (items) => {
        sent.push(...items);
        return items;
      },
    });
    await expect(add(1, Date.now() - 1)).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    expect(sent).toEqual([]);
  });

  it('lets go of an item whose time is up, waiting or under way, and keeps those that have more', async () => {
    let release = (): void => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const sent: number[][] = [];
    const add = numbers({
      max: 10,
      queue: 3,
      run: async (items) => {
        sent.push(items);
        await gate;
        return items;
      },
    });
    const brief = () => Date.now() + 200;
    const begun = performance.now();
    const [patient, hasty] = [add(1, soon()), add(2, brief())];
    await setImmediate();
    const waiting = [add(3, brief()), add(4, soon()), add(5, brief())];
    for (const late of [hasty, waiting[0]!, waiting[2]!]) await expect(late).rejects.toMatchObject({ reason: 'KEYS_UNAVAILABLE' });
    expect(performance.now() - begun).toBeLessThan(1_000);
    // And their places in the queue are free.
    const more = [add(6, soon()), add(7, soon())];
    release();
    expect(await Promise.all([patient, waiting[1]!, ...more])).toEqual([1, 4, 6, 7]);
    expect(sent).toEqual([
      [1, 2],
      [4, 6, 7],
    ]);
  });

  it('treats a short answer as an internal error of the missing items', async () => {
    const add = numbers({ max: 10, queue: 10, run: async (items) => items.slice(1) });
    const results = await Promise.allSettled([add(1, soon()), add(2, soon())]);
    expect(results[1]).toMatchObject({ status: 'rejected', reason: { reason: 'INTERNAL' } });
  });
});
