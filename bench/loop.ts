// A closed loop: so many calls in flight, each followed at once by the next one, every answer checked. What is counted is
// what ends between two moments after the warm-up, at which the CPU time of all processes is read.
import { setTimeout as sleep } from 'node:timers/promises';
import { cpuOf, cpuOfMachine, cpuOfTree } from './cpu.ts';
import { nearestRank } from './figures.ts';
import { openChannel } from './grpc.ts';
import { portOf, type Operation, type World } from './operation.ts';

export interface Load {
  inFlight: number;
  warmUpMs: number;
  ms: number;
  /** Process ids by name; PostgreSQL's children count with it. */
  pids: Readonly<Record<string, number>>;
}

export interface Measured {
  calls: number;
  items: number;
  seconds: number;
  /** Milliseconds of one call. */
  p50: number;
  p99: number;
  /** Calls that were answered with an error, by what it said. */
  errors: Record<string, number>;
  /** Microseconds in all, by process. */
  cpu: Record<string, number>;
  /** Of the machine, all that runs on it included. */
  machineCpu: number;
  /** Begin and end by the monotonic clock, microseconds. */
  window: { from: number; to: number };
}

/** More than this buys nothing, and one is what a single caller has. */
const MAX_CONNECTIONS = 4;
const AFTER_ERROR_MS = 10;

const now = (): number => Number(process.hrtime.bigint() / 1_000n);

const readCpu = (pids: Load['pids']) => ({
  at: now(),
  machine: cpuOfMachine(),
  processes: Object.entries({ ...pids, client: process.pid }).map(
    ([name, pid]) => [name, name === 'postgres' ? cpuOfTree(pid) : cpuOf(pid)] as const,
  ),
});

export const run = async (world: World, operation: Operation, { inFlight, warmUpMs, ms, pids }: Load): Promise<Measured> => {
  const channel = openChannel(world.stack, operation.as, portOf(world, operation.to), Math.min(MAX_CONNECTIONS, inFlight));
  let running = true;
  let latencies: number[] = [];
  let errors: Record<string, number> = {};
  const work = async (): Promise<void> => {
    while (running) {
      const { request, check } = operation.next();
      const start = performance.now();
      const { status, message, body } = await channel.call(operation.path, request);
      const took = performance.now() - start;
      if (status === 0) {
        check(body);
        latencies.push(took);
      } else {
        const what = `${status}: ${message}`;
        errors[what] = (errors[what] ?? 0) + 1;
        await sleep(AFTER_ERROR_MS);
      }
    }
  };
  const measure = async () => {
    await sleep(warmUpMs);
    const before = readCpu(pids);
    latencies = [];
    errors = {};
    await sleep(ms);
    const after = readCpu(pids);
    const [took, failed] = [latencies, errors];
    [latencies, errors] = [[], {}];
    running = false;
    return { before, after, took, failed };
  };
  try {
    const [{ before, after, took, failed }] = await Promise.all([measure(), ...Array.from({ length: inFlight }, work)]);
    const sorted = took.sort((a, b) => a - b);
    return {
      calls: sorted.length,
      items: sorted.length * operation.items,
      seconds: (after.at - before.at) / 1e6,
      p50: nearestRank(sorted, 0.5),
      p99: nearestRank(sorted, 0.99),
      errors: failed,
      cpu: Object.fromEntries(after.processes.map(([name, cpu], i) => [name, cpu - before.processes[i]![1]])),
      machineCpu: after.machine - before.machine,
      window: { from: before.at, to: after.at },
    };
  } finally {
    running = false;
    channel.close();
  }
};
