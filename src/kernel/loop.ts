// Work that comes up again and again: when it is asked for, and when its time has come. Never twice at once.
import { describe, type Log } from './log.ts';

export interface Loop extends AsyncDisposable {
  /** There may be something to do; the first time, the loop begins. */
  kick(): void;
}

type Work = (signal: AbortSignal) => Promise<number>;

/** Work of a loop that may reject: that is logged, and it is looked at again after so long. */
export const retrying =
  (work: Work, { log, message, retryMs }: { log: Log; message: string; retryMs: number }): Work =>
  (signal) =>
    work(signal).catch((error: unknown) => {
      log.warn({ error: describe(error) }, message);
      return retryMs;
    });

/** `work` answers in how many milliseconds to look again, and does not reject; its signal is aborted when it is to end. */
export const openLoop = (work: Work): Loop => {
  const stopping = new AbortController();
  const { signal } = stopping;
  let again = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const kick = (): void => {
    clearTimeout(timer);
    again = true;
    if (running || signal.aborted) return;
    again = false;
    running = work(signal).then((ms) => {
      running = undefined;
      if (signal.aborted) return;
      if (again) kick();
      else timer = setTimeout(kick, ms);
    });
  };
  return {
    kick,
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      clearTimeout(timer);
      await running;
    },
  };
};
