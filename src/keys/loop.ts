// Work that comes up again and again: when it is asked for, and when its time has come. Never twice at once.
export interface Loop extends AsyncDisposable {
  kick(): void;
}

/** `work` answers in how many milliseconds to look again, and does not reject. */
export const openLoop = (work: (stopped: () => boolean) => Promise<number>): Loop => {
  let stopped = false;
  let again = false;
  let running: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;
  const kick = (): void => {
    clearTimeout(timer);
    again = true;
    if (running || stopped) return;
    again = false;
    running = work(() => stopped).then((ms) => {
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
