// The sweep: every 2 seconds it frees the jobs of runners that died, gives a job to due purges and expiries that have lost theirs, and
// removes leftovers. A dead process tells nobody, so this is a timer. Replicas may sweep at once.
import { describe } from '../kernel/log.ts';
import { metrics } from '../kernel/metrics.ts';
import { addLostExpiries, selectExpiryLag } from '../store/sql/purge-expired.ts';
import { addLostJobs, selectLag } from '../store/sql/purge.ts';
import { removeLeftovers } from './leftovers.ts';
import { dropReplacedJobs, unlockDeadRunners } from './sql/queue.ts';
import type { Worker } from './worker.ts';

const EVERY_MS = 2_000;
const LOST = 500;

export const openSweep = (worker: Worker): AsyncDisposable => {
  const { db, log } = worker;
  const sweep = async (): Promise<void> => {
    const dead = await db.transaction(unlockDeadRunners);
    for (const runner of dead) log.warn({ peer: runner }, 'a worker died; its jobs are free');
    if (dead.length > 0) for (const task of ['purge', 'expire']) await db.transaction((tx) => dropReplacedJobs(tx, task));
    for (let count = LOST; count === LOST;) {
      count = (await db.transaction((tx) => addLostJobs(tx, LOST))).length;
      if (count > 0) log.warn({ count }, 'due purges had no job; each has one now');
    }
    const lost = await db.transaction((tx) => addLostExpiries(tx, LOST));
    if (lost > 0) log.warn({ count: lost }, 'what has expired had no job; it has one now');
    metrics.expiryLag.set(await selectExpiryLag(db.read));
    metrics.purgeLag.set(await selectLag(db.read));
    await removeLeftovers(worker);
  };

  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= sweep()
      .catch((error: unknown) => log.warn({ error: describe(error) }, 'a sweep failed; trying again'))
      .finally(() => (running = undefined));
  }, EVERY_MS);
  return {
    [Symbol.asyncDispose]: async () => {
      clearInterval(timer);
      await running;
    },
  };
};
