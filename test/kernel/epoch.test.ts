import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openEpoch } from '../../src/kernel/epoch.ts';

describe('the epoch that bounds a cache', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  it('asks once for many callers, and not again while the answer is fresh', async () => {
    const query = vi.fn(async () => 1n);
    const epoch = openEpoch({ query, onChange: () => undefined });
    await Promise.all([epoch.confirm(), epoch.confirm(), epoch.confirm()]);
    vi.advanceTimersByTime(200);
    await epoch.confirm();
    expect(query).toHaveBeenCalledTimes(1);
  });

  it('asks beside the call between 250 and 500 ms, and before it after that', async () => {
    let answer = (): void => undefined;
    const query = vi.fn(() => new Promise<bigint>((resolve) => (answer = () => resolve(1n))));
    const epoch = openEpoch({ query, onChange: () => undefined });
    const first = epoch.confirm();
    answer();
    const lease = await first;
    vi.advanceTimersByTime(300);
    await epoch.confirm();
    expect(query).toHaveBeenCalledTimes(2);
    vi.advanceTimersByTime(300);
    expect(lease()).toBe(false);
    let confirmed = false;
    // The question of 300 ms ago is still open: this call waits for it.
    const late = epoch.confirm().then(() => (confirmed = true));
    await Promise.resolve();
    expect(confirmed).toBe(false);
    answer();
    await late;
    // The same epoch, confirmed again: what was read before still holds.
    expect(lease()).toBe(true);
    expect(query).toHaveBeenCalledTimes(2);
  });

  it('counts from the start of the question, so a paused process trusts nothing old', async () => {
    const epoch = openEpoch({
      query: async () => {
        vi.advanceTimersByTime(501);
        return 1n;
      },
      onChange: () => undefined,
    });
    await expect(epoch.confirm()).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  });

  it('asks again when one answer was slow, and refuses when the third is slow too', async () => {
    let slow = 2;
    const query = vi.fn(async () => {
      if (slow-- > 0) vi.advanceTimersByTime(600);
      return 1n;
    });
    const epoch = openEpoch({ query, onChange: () => undefined });
    expect((await epoch.confirm())()).toBe(true);
    expect(query).toHaveBeenCalledTimes(3);
    vi.advanceTimersByTime(600);
    slow = 3;
    await expect(epoch.confirm()).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
  });

  it('asks again after a change made here, and believes no answer that was under way then', async () => {
    const answers: ((epoch: bigint) => void)[] = [];
    const epoch = openEpoch({ query: () => new Promise((resolve) => answers.push(resolve)), onChange: () => undefined });
    const first = epoch.confirm();
    epoch.expire();
    const second = epoch.confirm();
    expect(answers).toHaveLength(2);
    answers[0]!(1n);
    answers[1]!(2n);
    for (const lease of await Promise.all([first, second])) expect(lease()).toBe(true);
    epoch.expire();
    void epoch.confirm();
    expect(answers).toHaveLength(3);
  });

  it('empties the cache before it confirms a new epoch, and raises the generation', async () => {
    let now = 1n;
    let emptied = 0;
    const epoch = openEpoch({ query: async () => now, onChange: () => emptied++ });
    await epoch.confirm();
    const before = epoch.generation;
    now = 2n;
    vi.advanceTimersByTime(501);
    await epoch.confirm();
    expect(emptied).toBe(2);
    expect(epoch.generation).toBe(before + 1);
  });

  it('does not let a newer epoch vouch for an answer made from an older one', async () => {
    let now = 1n;
    const epoch = openEpoch({ query: async () => now, onChange: () => undefined });
    const lease = await epoch.confirm();
    now = 2n;
    vi.advanceTimersByTime(400);
    await epoch.confirm();
    await Promise.resolve();
    expect(lease()).toBe(true);
    vi.advanceTimersByTime(101);
    expect(lease()).toBe(false);
  });

  it('rejects when the database cannot be asked: no answer rather than a stale one', async () => {
    let down = false;
    const epoch = openEpoch({
      query: async () => {
        if (down) throw new Error('down');
        return 1n;
      },
      onChange: () => undefined,
    });
    await epoch.confirm();
    down = true;
    vi.advanceTimersByTime(501);
    await expect(epoch.confirm()).rejects.toThrow('down');
  });
});
