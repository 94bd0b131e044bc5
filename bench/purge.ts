// `make bench BENCH=purge`: how long the purge of a large group takes, and what callers of another instance notice of it.
// 78,511 secrets with two versions each are the size at which a peer's delete took over an hour and failed.
import { parseArgs } from 'node:util';
import { connect } from '../src/dev/provision.ts';
import { startStack } from '../test/support/stack.ts';
import { startChild } from './child.ts';
import { median, saveResult, say } from './figures.ts';
import { describeMachine, sayMachine } from './machine.ts';
import { runRound, type Round } from './purge-round.ts';
import { makeLargeGroup, makeManyGroups, VERSIONS, type Doomed } from './purge-tenant.ts';
import { buildWorld } from './world.ts';

const USAGE = 'usage: node bench/purge.ts [--secrets 78511 | --groups 10000] [--rounds 3]';

interface Options {
  /** In one group. */
  secrets: number;
  /** That fall due in the same second, with no secrets; 0 for the one group. */
  groups: number;
  rounds: number;
}

const parseOptions = (args: string[]): Options => {
  const string = { type: 'string' } as const;
  const { values } = parseArgs({ args, options: { secrets: string, groups: string, rounds: string } });
  const parse = (text: string | undefined, least: number, otherwise: number): number => {
    const number = Number(text ?? otherwise);
    if (!(Number.isInteger(number) && (number >= least || text === undefined)))
      throw new Error(`${text} is not a whole number of ${least} or more; ${USAGE}`);
    return number;
  };
  return { secrets: parse(values.secrets, 100, 78_511), groups: parse(values.groups, 1, 0), rounds: parse(values.rounds, 1, 3) };
};

const tell = ({ secrets, groups }: Options, rounds: readonly Round[]): string => {
  const [isOne, isLarge] = [groups === 0, secrets > 500_000];
  const of = (figure: (round: Round) => number): number => median(rounds.map(figure));
  const line = (what: string, value: string, target: string): string =>
    `| ${what.padEnd(58)} | ${value.padStart(12)} | ${target.padEnd(10)} |`;
  const [idle, during] = [of((r) => r.idle.p99), of((r) => r.during.p99)];
  return [
    line(isOne ? `${secrets} secrets × ${VERSIONS} versions in one group` : `${groups} groups due in the same second`, 'median', 'target'),
    `|${'-'.repeat(60)}|${'-'.repeat(17)}:|${'-'.repeat(12)}|`,
    line('unreadable, after the start', `${of((r) => r.unreadable).toFixed(0)} ms`, isOne ? '≤ 100 ms' : ''),
    line('rows gone, after the start', `${of((r) => r.rowsGone).toFixed(1)} s`, ''),
    line('gone, with the receipt', `${of((r) => r.gone).toFixed(1)} s`, isOne ? (isLarge ? '≤ 150 s' : '≤ 10 s') : ''),
    line('start of the last, after it was due', `${of((r) => r.waited).toFixed(0)} ms`, ''),
    line(
      'reads of another instance, p50 idle → meanwhile',
      `${of((r) => r.idle.p50).toFixed(1)} → ${of((r) => r.during.p50).toFixed(1)} ms`,
      '',
    ),
    line('reads of another instance, p99 idle → meanwhile', `${idle.toFixed(1)} → ${during.toFixed(1)} ms`, `≤ 2 ×`),
    line('  as a factor', `${of((r) => r.during.p99 / r.idle.p99).toFixed(2)} ×`, '≤ 2 ×'),
    line('most memory of the worker', `${of((r) => r.workerMiB)} MiB`, isOne ? '< 200 MiB' : ''),
    line('WAL written', `${of((r) => r.walMiB).toFixed(0)} MiB`, ''),
    ...['worker', 'postgres', 'store'].map((part) => line(`CPU of ${part} meanwhile`, `${of((r) => r.cpu[part] ?? 0).toFixed(1)} s`, '')),
    line('share of the machine that others took meanwhile', `${(of((r) => r.others) * 100).toFixed(0)} %`, ''),
    ...(rounds.some(({ idle: a, during: b }) => a.errors + b.errors > 0) ? ['some reads failed'] : []),
  ].join('\n');
};

const bench = async (options: Options): Promise<void> => {
  say('starting a stack of its own ...');
  await using running = await startStack();
  const { stack } = running;
  const machine = await describeMachine(stack);
  say(sayMachine(machine));
  const world = await buildWorld(stack, 0);
  await using readers = startChild('purge-readers.ts');
  await readers.ask('start', world);
  const client = await connect(stack, 'store', 'superuser');
  const { secrets, groups, rounds: count } = options;
  const make = (instanceId: string): Promise<Doomed> =>
    groups === 0 ? makeLargeGroup(world, instanceId, secrets) : makeManyGroups(world, instanceId, groups);
  const rounds: Round[] = [];
  try {
    for (let round = 1; round <= count; round++) {
      const start = performance.now();
      const doomed = await make(`round-${round}`);
      const filled = (performance.now() - start) / 1_000;
      const made = await runRound(world, readers, client, doomed);
      rounds.push(made);
      say(
        `round ${round}/${count}  filled in ${filled.toFixed(1)} s, unreadable ${made.unreadable.toFixed(0)} ms, gone ${made.gone.toFixed(1)} s, ` +
          `p99 ${made.idle.p99.toFixed(1)} → ${made.during.p99.toFixed(1)} ms, worker ${made.workerMiB} MiB`,
      );
    }
  } finally {
    await client.end().catch(() => undefined);
  }
  const file = saveResult('purge', { machine, secrets, groups, rounds });
  say(`\n${tell(options, rounds)}\n${file}`);
};

try {
  await bench(parseOptions(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`✗ ${error instanceof Error ? error.message : 'unknown error'}\n`);
  process.exitCode = 1;
}
