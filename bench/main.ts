// `make bench`: what operations cost, on a stack of its own that is gone at the end. See docs/performance.md.
import { startStack } from '../test/support/stack.ts';
import { startChild } from './child.ts';
import { RESULTS, saveResult, say } from './figures.ts';
import { describeMachine, sayMachine } from './machine.ts';
import { measure, type Bench } from './measure.ts';
import { parseOptions, type Options } from './options.ts';
import { profile } from './profile.ts';
import { memoryOfAll, notesOf, rowsOf, tableOf } from './report.ts';
import { analyze, buildWorld, pidsOf } from './world.ts';

let interrupted: NodeJS.Signals | undefined;
const check = (): void => {
  if (interrupted) throw new Error(`interrupted by ${interrupted}`);
};
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    if (!interrupted) say('ending, and removing the stack ...');
    interrupted = signal;
  });
}

const bench = async (options: Options): Promise<boolean> => {
  say('starting a stack of its own ...');
  await using running = await startStack();
  check();
  const { stack } = running;
  const machine = await describeMachine(stack);
  say(sayMachine(machine));
  await using echo = startChild('echo-server.ts');
  await using load = startChild('load.ts');
  const world = await buildWorld(stack, await echo.ask<number>('serve', stack));
  check();
  await load.ask('prepare', world);
  await analyze(stack);
  const ready: Bench = { world, load, pids: { ...(await pidsOf(stack)), echo: echo.pid }, check, say };
  if (options.profile) {
    say(await profile(ready, options.profile, options.seconds, RESULTS));
    return true;
  }

  const cells = await measure(ready, options);
  const [rows, memory] = [rowsOf(cells), memoryOfAll(cells)];
  const file = saveResult('', { machine, seconds: options.seconds, rounds: options.rounds, rows, memory, cells });
  say(`\n${tableOf(rows)}\n\n${notesOf(rows, memory).join('\n')}\n${file}`);
  return rows.every(({ errors }) => errors === 0);
};

try {
  if (!(await bench(parseOptions(process.argv.slice(2))))) throw new Error('some calls failed; see above');
} catch (error) {
  process.stderr.write(`✗ ${error instanceof Error ? error.message : 'unknown error'}\n`);
  process.exitCode = 1;
}
