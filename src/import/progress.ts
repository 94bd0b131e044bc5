// How far an import has come, as one line that is written over and over, for people who watch; nothing where nobody does.
const WIDTH = 30;
const EVERY_MS = 100;

export interface Progress {
  step(): void;
  end(): void;
}

export const lineOf = (done: number, total: number): string => {
  const filled = total === 0 ? WIDTH : Math.floor((done * WIDTH) / total);
  return `[${'#'.repeat(filled)}${'-'.repeat(WIDTH - filled)}] ${done}/${total}`;
};

export const openProgress = (total: number, stream: NodeJS.WriteStream): Progress => {
  let [done, shownAt] = [0, 0];
  const show = (): void => {
    if (stream.isTTY) stream.write(`\r${lineOf(done, total)}`);
  };
  return {
    step: () => {
      done++;
      if (Date.now() - shownAt < EVERY_MS) return;
      shownAt = Date.now();
      show();
    },
    end: () => {
      show();
      if (stream.isTTY) stream.write('\n');
    },
  };
};
