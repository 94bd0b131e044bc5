// Runs the cells: in each round every operation with one call in flight and with 32, one after the other, so that what
// disturbs the machine for a while disturbs all of them alike.
import type { Child } from './child.ts';
import { memoryOf } from './cpu.ts';
import type { Job } from './load.ts';
import type { Measured } from './loop.ts';
import type { Name } from './operations.ts';
import type { World } from './operation.ts';
import { settle } from './world.ts';

export const IN_FLIGHT = [1, 32] as const;
const WARM_UP_MS = 1_000;

export interface Cell extends Measured {
  operation: Name;
  inFlight: number;
  round: number;
  /** Events of the changes made that the audit log had not yet taken at the end. */
  backlog: number;
  /** Resident memory at the end of the load, MiB. */
  memory: Record<string, number>;
}

export interface Plan {
  operations: readonly Name[];
  seconds: number;
  rounds: number;
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

export const runCell = async ({ world, load, pids }: Bench, operation: Name, inFlight: number, ms: number) => {
  const measured = await load.ask<Measured>('run', { operation, load: { inFlight, warmUpMs: WARM_UP_MS, ms, pids } } satisfies Job);
  const memory = memoryOfAll(pids);
  const backlog = await settle(world.stack);
  await load.ask('readBack', operation);
  return { ...measured, backlog, memory };
};

export const measure = async (bench: Bench, { operations, seconds, rounds }: Plan): Promise<Cell[]> => {
  const cells: Cell[] = [];
  bench.say('warming up ...');
  for (const operation of operations) {
    bench.check();
    await runCell(bench, operation, Math.max(...IN_FLIGHT), seconds * 1_000);
  }
  for (let round = 1; round <= rounds; round++) {
    for (const inFlight of IN_FLIGHT) {
      for (const operation of operations) {
        bench.check();
        const cell = await runCell(bench, operation, inFlight, seconds * 1_000);
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
