// A chore: what falls due is done when it is due, when somebody says that something may be, and again after a failure.
import { describe, type Log } from '../kernel/log.ts';

const LONGEST_MS = 60_000;
const SHORTEST_MS = 50;
export const RETRY_MS = 5_000;

export interface Chore extends AsyncDisposable {
  /** Something may be due; the first time, the watch begins. */
  kick(): void;
}

/** How long to wait for what falls due first; null is never. Replicas look at least once a minute. */
export const untilDue = (...delays: readonly (number | null)[]): number =>
  Math.max(SHORTEST_MS, Math.min(LONGEST_MS, ...delays.map((delay) => delay ?? Infinity)));

/** `work` does what is due now, and answers in how many milliseconds to look again. */
export const openChore = (what: string, work: (stopped: () => boolean) => Promise<number>, log: Log): Chore => {
  let stopped = false;
  let again = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const kick = (): void => {
    clearTimeout(timer);
    again = true;
    if (running || stopped) return;
    again = false;
    running = work(() => stopped)
      .catch((error: unknown) => {
        log.warn({ error: describe(error) }, `${what} could not be looked after; trying again`);
        return RETRY_MS;
      })
      .then((ms) => {
        running = undefined;
        if (stopped) return;
        if (again) kick();
        else timer = setTimeout(kick, ms);
      });
  };
  return {
    kick,
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
};
