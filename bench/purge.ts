// `make bench BENCH=purge`: how long the purge of a large group takes, and what callers of another instance notice of it.
// 78,511 secrets with two versions each are the size at which a peer's delete took over an hour and failed.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type pg from 'pg';
import { connect } from '../src/dev/provision.ts';
import { startStack } from '../test/support/stack.ts';
import { startChild, type Child } from './child.ts';
import { cpuOf, cpuOfMachine, cpuOfTree } from './cpu.ts';
import { describeMachine, sayMachine } from './machine.ts';
import type { World } from './operation.ts';
import type { Latencies } from './purge-readers.ts';
import { deleteGroup, makeTenant, VERSIONS } from './purge-tenant.ts';
import { analyze, buildWorld, pidsOf } from './world.ts';

const RESULTS = join(import.meta.dirname, 'results');
const IDLE_MS = 8_000;
const SETTLE_MS = 3_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
const { values } = parseArgs({ options: { secrets: { type: 'string', default: '78511' }, rounds: { type: 'string', default: '3' } } });
const [SECRETS, ROUNDS] = [Number(values.secrets), Number(values.rounds)];

interface Round {
  /** Milliseconds from the start of the purge, which is its first change, to the end of all keys. */
  unreadable: number;
  /** Milliseconds from the time it was due to its start. */
  waited: number;
  /** Seconds from the start to the last row, and to the receipt. */
  rowsGone: number;
  gone: number;
  idle: Latencies;
  during: Latencies;
  /** CPU seconds by process. */
  cpu: Record<string, number>;
  /** Share of the machine that others took. */
  others: number;
  walMiB: number;
  workerMiB: number;
}

/** The most memory that the process has had, MiB. */
const peakOf = (pid: number): number =>
  Math.round(Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024);

const walOf = async (client: pg.Client): Promise<number> =>
  Number((await client.query<{ bytes: string }>(`select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::text as bytes`)).rows[0]!.bytes);

interface Times {
  state: string;
  due: number;
  begun: number;
  unreadable: number;
  ended: number;
}
const timesOf = async (client: pg.Client, uid: string): Promise<Times> => {
  const ms = (column: string): string => `(extract(epoch from ${column}) * 1000)::float8`;
  const text = `select state, ${ms('purge_time')} as due, ${ms('start_time')} as begun, ${ms('keys_destroyed_time')} as unreadable, ${ms('end_time')} as ended
    from purges where uid = $1`;
  return (await client.query<Times & pg.QueryResultRow>(text, [uid])).rows[0]!;
};

const reaches = async (client: pg.Client, uid: string, states: readonly string[]): Promise<Times> => {
  for (;;) {
    const times = await timesOf(client, uid);
    if (states.includes(times.state)) return times;
    await sleep(5);
  }
};

const runRound = async (world: World, readers: Child, client: pg.Client, round: number): Promise<Round> => {
  const { name, uid } = await makeTenant(world, `round-${round}`, SECRETS);
  await analyze(world.stack);
  await client.query('checkpoint');
  await sleep(SETTLE_MS);
  await readers.ask('latencies');
  await sleep(IDLE_MS);
  const idle = await readers.ask<Latencies>('latencies');

  const pids: Record<string, number> = { ...(await pidsOf(world.stack)), readers: readers.pid, bench: process.pid };
  const cpus = () =>
    Object.fromEntries(Object.entries(pids).map(([part, pid]) => [part, part === 'postgres' ? cpuOfTree(pid) : cpuOf(pid)]));
  await deleteGroup(world.stack, name);
  const [before, wal, machine, start] = [cpus(), await walOf(client), cpuOfMachine(), performance.now()];
  await reaches(client, uid, ['DESTROYING_KEYS', 'REMOVING_ROWS', 'FINISHING', 'DONE']);
  await readers.ask('latencies');
  const rows = await reaches(client, uid, ['FINISHING', 'DONE']);
  const rowsAt = Date.now();
  const times = await reaches(client, uid, ['DONE']);
  const doneAt = Date.now();
  const during = await readers.ask<Latencies>('latencies');
  const [after, all] = [cpus(), cpuOfMachine() - machine];
  const cpu = Object.fromEntries(Object.keys(pids).map((part) => [part, (after[part]! - before[part]!) / 1e6]));
  const ours = Object.values(cpu).reduce((a, b) => a + b, 0);
  return {
    unreadable: times.unreadable - times.begun,
    waited: times.begun - times.due,
    rowsGone: (rowsAt - rows.begun) / 1_000,
    gone: (doneAt - times.begun) / 1_000,
    idle,
    during,
    cpu,
    others: (all / 1e6 - ours) / (((performance.now() - start) / 1_000) * availableParallelism()),
    walMiB: ((await walOf(client)) - wal) / 2 ** 20,
    workerMiB: peakOf(pids['worker']!),
  };
};

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;

const tell = (rounds: readonly Round[]): string => {
  const of = (figure: (round: Round) => number): number => median(rounds.map(figure));
  const line = (what: string, value: string, target: string): string =>
    `| ${what.padEnd(58)} | ${value.padStart(12)} | ${target.padEnd(10)} |`;
  const [idle, during] = [of((r) => r.idle.p99), of((r) => r.during.p99)];
  return [
    line(`${SECRETS} secrets × ${VERSIONS} versions in one group`, 'median', 'target'),
    `|${'-'.repeat(60)}|${'-'.repeat(17)}:|${'-'.repeat(12)}|`,
    line('unreadable, after the start', `${of((r) => r.unreadable).toFixed(0)} ms`, '≤ 100 ms'),
    line('rows gone, after the start', `${of((r) => r.rowsGone).toFixed(1)} s`, ''),
    line('gone, with the receipt', `${of((r) => r.gone).toFixed(1)} s`, SECRETS > 500_000 ? '≤ 150 s' : '≤ 10 s'),
    line('start, after it was due', `${of((r) => r.waited).toFixed(0)} ms`, ''),
    line(
      'reads of another instance, p50 idle → meanwhile',
      `${of((r) => r.idle.p50).toFixed(1)} → ${of((r) => r.during.p50).toFixed(1)} ms`,
      '',
    ),
    line('reads of another instance, p99 idle → meanwhile', `${idle.toFixed(1)} → ${during.toFixed(1)} ms`, `≤ 2 ×`),
    line('  as a factor', `${of((r) => r.during.p99 / r.idle.p99).toFixed(2)} ×`, '≤ 2 ×'),
    line('most memory of the worker', `${of((r) => r.workerMiB)} MiB`, '< 200 MiB'),
    line('WAL written', `${of((r) => r.walMiB).toFixed(0)} MiB`, ''),
    ...['worker', 'postgres', 'store'].map((part) => line(`CPU of ${part} meanwhile`, `${of((r) => r.cpu[part] ?? 0).toFixed(1)} s`, '')),
    line('share of the machine that others took meanwhile', `${(of((r) => r.others) * 100).toFixed(0)} %`, ''),
    ...(rounds.some(({ idle: a, during: b }) => a.errors + b.errors > 0) ? ['some reads failed'] : []),
  ].join('\n');
};

say('starting a stack of its own ...');
await using running = await startStack();
const { stack } = running;
const machine = await describeMachine(stack);
say(sayMachine(machine));
const world = await buildWorld(stack, 0);
await using readers = startChild('purge-readers.ts');
await readers.ask('start', world);
const client = await connect(stack, 'store', 'superuser');
const rounds: Round[] = [];
try {
  for (let round = 1; round <= ROUNDS; round++) {
    const made = await runRound(world, readers, client, round);
    rounds.push(made);
    say(
      `round ${round}/${ROUNDS}  unreadable ${made.unreadable.toFixed(0)} ms, gone ${made.gone.toFixed(1)} s, p99 ${made.idle.p99.toFixed(1)} → ${made.during.p99.toFixed(1)} ms, worker ${made.workerMiB} MiB`,
    );
  }
} finally {
  await client.end();
}
mkdirSync(RESULTS, { recursive: true });
const date = new Date().toISOString();
const file = join(RESULTS, `purge-${date.slice(0, 19).replaceAll(':', '')}.json`);
writeFileSync(file, `${JSON.stringify({ date, machine, secrets: SECRETS, rounds }, undefined, 1)}\n`);
say(`\n${tell(rounds)}\n${relative('', file)}`);
