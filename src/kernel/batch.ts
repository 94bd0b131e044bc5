// Natural batching: while one batch is on its way, what arrives waits, and leaves together as the next one. No timer
// decides when: an idle batcher sends at once, a busy one sends as soon as its answer is there. What a timer does is let go of
// callers with little time, whom a batch that hangs would keep as long as those with much.
import { AppError, type Reason } from './errors.ts';

export interface BatchOptions<In, Out> {
  /** Largest batch. */
  max: number;
  /** Most items waiting; one more is refused. */
  queue: number;
  /** How many an item counts as, in both; 1 if absent. */
  weight?: (item: In) => number;
  /** What an item ends with that has no answer in its time. */
  late: Reason;
  /** One result for each item, in order; an AppError fails its item only. A rejection fails them all. */
  run: (items: In[], deadline: number) => Promise<(Out | AppError)[]>;
}

const CHECK_MS = 20;
/** Of an item's time; the rest stays with its caller, to say that there was no answer and to have that recorded. */
const SHARE = 0.7;

interface Waiting<In, Out> {
  item: In;
  weight: number;
  deadline: number;
  /** When it is let go. */
  until: number;
  resolve: (value: Out) => void;
  reject: (error: unknown) => void;
}

/** Returns a function that adds one item and settles with its own result; `deadline` is in epoch milliseconds. */
export const batcher = <In, Out>({ max, queue, late, weight = () => 1, run }: BatchOptions<In, Out>) => {
  let waiting: Waiting<In, Out>[] = [];
  const sum = (items: readonly Waiting<In, Out>[]): number => items.reduce((total, w) => total + w.weight, 0);
  /** Of all that wait. */
  let held = 0;
  let busy = false;
  /** Without an answer yet, waiting or under way. */
  const open = new Set<Waiting<In, Out>>();
  let check: NodeJS.Timeout | undefined;

  const expire = (): void => {
    const now = Date.now();
    for (const w of open) {
      if (w.until > now) continue;
      open.delete(w);
      w.reject(new AppError(late, 'a service that this call needs did not answer in time; try again'));
    }
    waiting = waiting.filter((w) => open.has(w));
    held = sum(waiting);
    check = open.size > 0 ? setTimeout(expire, CHECK_MS) : undefined;
  };

  const settle = async (batch: Waiting<In, Out>[]): Promise<void> => {
    try {
      const results = await run(
        batch.map((w) => w.item),
        Math.max(...batch.map((w) => w.deadline)),
      );
      batch.forEach((w, i) => {
        const result = results[i];
        if (result === undefined) w.reject(new AppError('INTERNAL', 'a batch came back short'));
        else if (result instanceof AppError) w.reject(result);
        else w.resolve(result);
      });
    } catch (error) {
      for (const w of batch) w.reject(error);
    }
    for (const w of batch) open.delete(w);
  };

  /** The oldest that fit into a batch; one that is too large for any goes alone. */
  const take = (): Waiting<In, Out>[] => {
    let count = 0;
    let total = 0;
    for (const w of waiting) {
      if (count > 0 && total + w.weight > max) break;
      total += w.weight;
      count++;
    }
    held -= total;
    return waiting.splice(0, count);
  };

  const next = (): void => {
    if (busy || waiting.length === 0) return;
    busy = true;
    void settle(take()).finally(() => {
      busy = false;
      next();
    });
  };

  return (item: In, deadline: number): Promise<Out> =>
    new Promise((resolve, reject) => {
      const own = weight(item);
      if (held + own > queue) {
        reject(new AppError('TOO_MANY_REQUESTS', 'too many calls are waiting; try again later', { retryAfterMs: 100 }));
        return;
      }
      const now = Date.now();
      const added = { item, weight: own, deadline, until: now + (deadline - now) * SHARE, resolve, reject };
      if (added.until <= now) {
        reject(new AppError('DEADLINE_EXCEEDED', 'the deadline has passed'));
        return;
      }
      waiting.push(added);
      held += own;
      open.add(added);
      check ??= setTimeout(expire, CHECK_MS);
      // At the end of this turn of the loop, so that calls that have arrived in it leave together.
      if (waiting.length === 1) setImmediate(next);
    });
};
