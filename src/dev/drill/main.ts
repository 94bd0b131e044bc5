// `make drill`: what comes back from which backup after a purge. See docs/deletion.md.
import { drill } from './drill.ts';
import { tell } from './report.ts';

const say = (line: string): void => void process.stdout.write(`${line}\n`);

let interrupted = false;
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!interrupted) say('ending after this step, and removing everything ...');
    interrupted = true;
  });
}
const sayUnlessInterrupted = (line: string): void => {
  if (interrupted) throw new Error('interrupted');
  say(line);
};

try {
  const report = await drill(sayUnlessInterrupted);
  say(`\n${tell(report)}`);
  process.exitCode = report.surprises.length === 0 ? 0 : 1;
} catch (error) {
  process.stderr.write(`✗ ${error instanceof Error ? error.message : 'unknown error'}\n`);
  process.exitCode = 1;
}
