// One round of the purge bench: what readers of another instance notice before and while it is purged, and how long that takes.
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';
import type { Child } from './child.ts';
import { cpuOf, cpuOfMachine, cpuOfTree } from './cpu.ts';
import type { World } from './operation.ts';
import { watchPurges } from './purge-progress.ts';
import type { Latencies } from './purge-readers.ts';
import type { Doomed } from './purge-tenant.ts';
import { analyze, pidsOf } from './world.ts';

const IDLE_MS = 8_000;
const SETTLE_MS = 3_000;
/** Of many purges the question costs the database more. */
const EVERY_MS = { one: 5, many: 200 };

export interface Round {
  /** Milliseconds from the start of the first purge, which is its first change, to the end of all keys. */
  unreadable: number;
  /** Milliseconds from the time it was due to the start of the last. */
  waited: number;
  /** Seconds from the first start to the last row, and to the last receipt. */
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

export const runRound = async (world: World, readers: Child, client: pg.Client, doomed: Doomed): Promise<Round> => {
  await analyze(world.stack);
  await client.query('checkpoint');
  await sleep(SETTLE_MS);
  await readers.ask('latencies');
  await sleep(IDLE_MS);
  const idle = await readers.ask<Latencies>('latencies');

  const pids: Record<string, number> = { ...(await pidsOf(world.stack)), readers: readers.pid, bench: process.pid };
  const cpus = () =>
    Object.fromEntries(Object.entries(pids).map(([part, pid]) => [part, part === 'postgres' ? cpuOfTree(pid) : cpuOf(pid)]));
  const uids = await doomed.remove();
  const [before, wal, machine, start] = [cpus(), await walOf(client), cpuOfMachine(), performance.now()];
  const watch = watchPurges(client, uids, pids);
  const every = uids.length === 1 ? EVERY_MS.one : EVERY_MS.many;
  await watch.reaches(({ started }) => started > 0, EVERY_MS.one);
  await readers.ask('latencies');
  await watch.reaches(({ emptied }) => emptied === uids.length, every);
  const rowsAt = Date.now();
  const times = await watch.reaches(({ done }) => done === uids.length, every);
  const doneAt = Date.now();
  const during = await readers.ask<Latencies>('latencies');
  const [after, all] = [cpus(), cpuOfMachine() - machine];
  const cpu = Object.fromEntries(Object.keys(pids).map((part) => [part, (after[part]! - before[part]!) / 1e6]));
  const ours = Object.values(cpu).reduce((a, b) => a + b, 0);
  return {
    unreadable: times.unreadable - times.firstBegun,
    waited: times.begun - times.due,
    rowsGone: (rowsAt - times.firstBegun) / 1_000,
    gone: (doneAt - times.firstBegun) / 1_000,
    idle,
    during,
    cpu,
    others: (all / 1e6 - ours) / (((performance.now() - start) / 1_000) * availableParallelism()),
    walMiB: ((await walOf(client)) - wal) / 2 ** 20,
    workerMiB: peakOf(pids['worker']!),
  };
};
