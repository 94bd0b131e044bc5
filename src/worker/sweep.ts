// The sweep: every 2 seconds it frees the jobs of runners that died, and gives a job to due purges that have lost theirs.
// A dead process tells nobody, so this is a timer. Replicas may sweep at once.
import type { Db } from '../kernel/db.ts';
import { describe, type Log } from '../kernel/log.ts';
import { addLostJobs } from '../store/sql/purge.ts';
import { dropReplacedJobs, unlockDeadRunners } from './sql/queue.ts';

const EVERY_MS = 2_000;
const LOST = 500;

export const openSweep = (db: Db, log: Log): AsyncDisposable => {
  const sweep = async (): Promise<void> => {
    const dead = await db.transaction(unlockDeadRunners);
    for (const runner of dead) log.warn({ peer: runner }, 'a worker died; its jobs are free');
    if (dead.length > 0) await db.transaction((tx) => dropReplacedJobs(tx, 'purge'));
    const lost = await db.transaction((tx) => addLostJobs(tx, LOST));
    if (lost.length > 0) log.warn({ count: lost.length }, 'due purges had no job; each has one now');
  };

  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= sweep()
      .catch((error: unknown) => log.warn({ error: describe(error) }, 'the queue could not be swept; trying again'))
      .finally(() => (running = undefined));
  }, EVERY_MS);
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await running;
    },
  };
};
