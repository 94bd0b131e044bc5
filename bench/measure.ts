// Runs the cells: in each round every operation with one call in flight and with 32, one after the other, so that what
// disturbs the machine for a while disturbs all of them alike.
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from './child.ts';
import { cpuOfMachine, memoryOf } from './cpu.ts';
import type { Job } from './load.ts';
import type { Measured } from './loop.ts';
import type { Name } from './operations.ts';
import type { World } from './operation.ts';
import { settle } from './world.ts';

export const IN_FLIGHT = [1, 32] as const;
const WARM_UP_MS = 1_000;

interface Run extends Measured {
  /** Events of the changes made that the audit log had not yet taken at the end. */
  backlog: number;
  /** Resident memory at the end of the load, MiB. */
  memory: Record<string, number>;
}

export interface Cell extends Run {
  operation: Name;
  inFlight: number;
  round: number;
}

export interface Plan {
  operations: readonly Name[];
  seconds: number;
  rounds: number;
  /** For each measurement: how many seconds it may wait for others to be done with the machine. */
  patience: number;
}

export interface Bench {
  world: World;
  load: Child;
  pids: Readonly<Record<string, number>>;
  /** Throws when the run is to end. */
  check: () => void;
  say: (line: string) => void;
}

const memoryOfAll = (pids: Bench['pids']): Record<string, number> =>
  Object.fromEntries(
    Object.entries(pids)
      .filter(([name]) => name !== 'postgres')
      .map(([name, pid]) => [name, memoryOf(pid)]),
  );

export const runCell = async ({ world, load, pids }: Bench, operation: Name, inFlight: number, ms: number): Promise<Run> => {
  const measured = await load.ask<Measured>('run', { operation, load: { inFlight, warmUpMs: WARM_UP_MS, ms, pids } } satisfies Job);
  const memory = memoryOfAll(pids);
  const backlog = await settle(world.stack);
  await load.ask('readBack', operation);
  return { ...measured, backlog, memory };
};

/** More than this, and a measurement is called disturbed. */
export const DISTURBED = 0.1;

/** CPU of processes that are not ours, as a share of the machine. */
export const othersOf = ({ machineCpu, cpu, seconds }: Measured): number =>
  (machineCpu - Object.values(cpu).reduce((a, b) => a + b, 0)) / (seconds * 1e6 * availableParallelism());

const QUIET_MS = 500;

const waitForQuiet = async ({ check }: Bench, until: number): Promise<void> => {
  for (let busy = 1; busy > DISTURBED && Date.now() < until;) {
    check();
    const before = cpuOfMachine();
    await sleep(QUIET_MS);
    busy = (cpuOfMachine() - before) / (QUIET_MS * 1_000 * availableParallelism());
  }
};

/** The least disturbed of as many as patience allows; an error of any of them counts. */
const runQuietCell = async (bench: Bench, operation: Name, inFlight: number, { seconds, patience }: Plan) => {
  const until = Date.now() + patience * 1_000;
  const errors: Record<string, number> = {};
  for (let best: Run | undefined; ;) {
    bench.check();
    await waitForQuiet(bench, until);
    const cell = await runCell(bench, operation, inFlight, seconds * 1_000);
    for (const [what, count] of Object.entries(cell.errors)) errors[what] = (errors[what] ?? 0) + count;
    if (!best || othersOf(cell) < othersOf(best)) best = cell;
    if (othersOf(best) < DISTURBED || Date.now() > until) return { ...best, errors };
  }
};

export const measure = async (bench: Bench, plan: Plan): Promise<Cell[]> => {
  const { operations, seconds, rounds } = plan;
  const cells: Cell[] = [];
  bench.say('warming up ...');
  for (const operation of operations) {
    bench.check();
    await runCell(bench, operation, Math.max(...IN_FLIGHT), seconds * 1_000);
  }
  for (let round = 1; round <= rounds; round++) {
    for (const inFlight of IN_FLIGHT) {
      for (const operation of operations) {
        const cell = await runQuietCell(bench, operation, inFlight, plan);
        cells.push({ operation, inFlight, round, ...cell });
        const failed = Object.entries(cell.errors).map(([what, count]) => `  ${count} × ${what}`);
        bench.say(
          `round ${round}/${rounds}  ${operation.padEnd(15)} ${String(inFlight).padStart(2)} in flight  ${Math.round(cell.items / cell.seconds)}/s${failed.join('')}`,
        );
      }
    }
  }
  return cells;
};
