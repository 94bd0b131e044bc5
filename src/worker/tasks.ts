// THE table of the worker: every task with the check of its payload and its handler. Start reading here.
import { expire, parseExpireJob } from './tasks/expire.ts';
import { parsePurgeJob, purge } from './tasks/purge.ts';
import type { Turn, Worker } from './worker.ts';

interface Task<Payload> {
  /** Throws if the payload is none of this task. */
  readonly parse: (payload: unknown) => Payload;
  /** Rejects only if it can neither do its work nor put it off: then the queue runs the job again. */
  readonly run: (worker: Worker, payload: Payload, turn: Turn) => Promise<void>;
}

/** A task, its payload's type checked here and erased for the wiring. */
const task = <Payload>({ parse, run }: Task<Payload>): Task<unknown> => ({
  parse,
  run: (worker, payload, turn) => run(worker, payload as Payload, turn),
});

export const TASKS: Readonly<Record<string, Task<unknown>>> = {
  expire: task({ parse: parseExpireJob, run: expire }),
  purge: task({ parse: parsePurgeJob, run: purge }),
};
