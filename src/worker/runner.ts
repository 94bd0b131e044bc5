// Runs jobs, again and again: the queue's library stops its runner for good when the database goes away, so each run is
// followed by another one. A runner is alive for as long as its session is: see sql/queue.ts.
import { EventEmitter } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { Logger, run, type TaskList, type WorkerEvents } from 'graphile-worker';
import type { DbOptions } from '../kernel/db.ts';
import { describe, type Log } from '../kernel/log.ts';
import { waitAfter } from './pace.ts';
import { openPool, openSession } from './pool.ts';
import { announceRunner } from './sql/queue.ts';
import { TASKS } from './tasks.ts';
import type { Turn, Worker } from './worker.ts';

export interface Runner extends AsyncDisposable {
  /** Whether jobs are being run now. */
  readonly running: boolean;
}

/** How long a job may go on before others that wait have their turn. */
const TURN_MS = 20_000;
const POLL_MS = 1_000;
/** Longest wait for a runner to stop; what it leaves locked is freed by a sweep. */
const STOP_MS = 20_000;

export const queueLogger = (log: Log): Logger =>
  new Logger(() => (level, message) => {
    if (level === 'error') log.error({ error: message }, 'job queue');
    else if (level === 'warning') log.warn({ error: message }, 'job queue');
    else log.debug({ error: message }, 'job queue');
  });

const tasksOf = (worker: Worker, signal: AbortSignal): TaskList =>
  Object.fromEntries(
    Object.entries(TASKS).map(([name, task]) => [
      name,
      async (json: unknown) => {
        let payload: unknown;
        try {
          payload = task.parse(json);
        } catch (error) {
          // Another attempt would not help.
          worker.log.error({ job: name, error: describe(error) }, 'a job has a payload that is none of its task; it is dropped');
          return;
        }
        const end = performance.now() + TURN_MS;
        const turn: Turn = { signal, isOver: () => performance.now() > end };
        await task.run(worker, payload, turn);
      },
    ]),
  );

/** Resolves when jobs are being run, or cannot be for now. */
export const openRunner = async (worker: Worker, options: DbOptions, concurrency: number): Promise<Runner> => {
  const { log } = worker;
  const stopping = new AbortController();
  const stopRequested = new Promise<void>((resolve) => stopping.signal.addEventListener('abort', () => resolve(), { once: true }));
  const started = Promise.withResolvers<void>();
  let running = false;

  /** One life of a runner: until it is asked to stop, the queue's library gives up, or its session is lost. */
  const live = async (): Promise<void> => {
    await using session = await openSession(options);
    // A connection for each job, one to listen on, one to spare.
    const pool = openPool({ ...options, poolSize: concurrency + 2 });
    const ending = new AbortController();
    const events: WorkerEvents = new EventEmitter();
    let poolId = '';
    events.once('pool:create', ({ workerPool }) => (poolId = workerPool.id));
    try {
      const runner = await run({
        pgPool: pool,
        taskList: tasksOf(worker, ending.signal),
        parsedCronItems: [],
        concurrency,
        pollInterval: POLL_MS,
        noHandleSignals: true,
        logger: queueLogger(log),
        events,
        // Without delays of 0 the library forgets to wait for the completion of jobs that end during a stop.
        preset: { worker: { completeJobBatchDelay: 0, failJobBatchDelay: 0 } },
      });
      try {
        await announceRunner(session, poolId);
        running = true;
        started.resolve();
        log.info({ peer: poolId, count: concurrency }, 'running jobs');
        await Promise.race([stopRequested, runner.promise, session.ended]);
      } finally {
        running = false;
        ending.abort();
        await Promise.race([runner.stop().catch(() => undefined), delay(STOP_MS, undefined, { ref: false })]);
      }
    } finally {
      await Promise.race([pool.end(), delay(STOP_MS, undefined, { ref: false })]);
    }
  };

  const lives = (async () => {
    for (let failures = 0; !stopping.signal.aborted;) {
      const start = performance.now();
      try {
        await live();
      } catch (error) {
        log.warn({ error: describe(error) }, 'the job queue cannot be used');
        started.resolve();
      }
      failures = performance.now() - start > 60_000 ? 1 : failures + 1;
      if (!stopping.signal.aborted)
        await delay(Math.min(waitAfter(failures, Math.random()), 5_000), undefined, stopping).catch(() => undefined);
    }
  })();

  await started.promise;
  return {
    get running() {
      return running;
    },
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await lives;
    },
  };
};
