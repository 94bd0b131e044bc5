// Natural batching: while one batch is on its way, what arrives waits, and leaves together as the next one. No timer:
// an idle batcher sends at once, a busy one sends as soon as a lane is free.
import { AppError } from './errors.ts';

export interface BatchOptions<In, Out> {
  /** Largest batch. */
  max: number;
  /** Most items waiting; one more is refused. */
  queue: number;
  /** Batches under way at once. */
  lanes?: number;
  /** One result for each item, in order; an AppError fails its item only. A rejection fails them all. */
  run: (items: In[], deadline: number) => Promise<(Out | AppError)[]>;
}

interface Waiting<In, Out> {
  item: In;
  deadline: number;
  resolve: (value: Out) => void;
  reject: (error: unknown) => void;
}

/** Returns a function that adds one item and settles with its own result; `deadline` is in epoch milliseconds. */
export const batcher = <In, Out>({ max, queue, lanes = 1, run }: BatchOptions<In, Out>) => {
  let waiting: Waiting<In, Out>[] = [];
  let busy = 0;

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
  };

  const next = (): void => {
    while (busy < lanes && waiting.length > 0) {
      const now = Date.now();
      const taken = waiting.splice(0, max);
      const batch = taken.filter((w) => w.deadline > now);
      for (const w of taken) if (w.deadline <= now) w.reject(new AppError('DEADLINE_EXCEEDED', 'the deadline passed in the queue'));
      if (batch.length === 0) continue;
      busy++;
      void settle(batch).finally(() => {
        busy--;
        next();
      });
    }
  };

  return (item: In, deadline: number): Promise<Out> =>
    new Promise((resolve, reject) => {
      if (waiting.length >= queue) {
        reject(new AppError('TOO_MANY_REQUESTS', 'too many calls are waiting; try again later', { retryAfterMs: 100 }));
        return;
      }
      waiting.push({ item, deadline, resolve, reject });
      // One turn of the microtask queue lets calls that arrived in the same read leave together.
      if (waiting.length === 1) queueMicrotask(next);
    });
};
