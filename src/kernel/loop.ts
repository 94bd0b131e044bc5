// Work that comes up again and again: when it is asked for, and when its time has come. Never twice at once.
export interface Loop extends AsyncDisposable {
  /** There may be something to do; the first time, the loop begins. */
  kick(): void;
}

/** `work` answers in how many milliseconds to look again, and does not reject; its signal is aborted when it is to end. */
export const openLoop = (work: (signal: AbortSignal) => Promise<number>): Loop => {
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
