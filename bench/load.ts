// The load generator, a process of its own: prepares what the operations need, then runs one of them when it is asked to.
import { answer } from './child.ts';
import { run, type Load, type Measured } from './loop.ts';
import { doAll, type Operation, type World } from './operation.ts';
import type { Name } from './operations.ts';
import { batchAccesses, notModified } from './operations/accesses.ts';
import { adds } from './operations/adds.ts';
import { appends } from './operations/appends.ts';
import { CREATE, createOf, creates } from './operations/creates.ts';
import { echoes } from './operations/echoes.ts';
import { READ, reads, type Written } from './operations/reads.ts';
import { generateDeks, unwrapBatches, unwraps } from './operations/unwraps.ts';

const READ_PER_GROUP = 100;
const ROTATED_PER_GROUP = 30;
const DEKS_PER_SCOPE = 100;

export interface Job {
  operation: Name;
  load: Load;
}

let open: { world: World; operations: Record<Name, Operation> } | undefined;
const prepared = () => {
  if (!open) throw new Error('nothing is prepared');
  return open;
};

const seed = async (world: World, label: string, perGroup: number): Promise<Written[]> => {
  const calls = world.groups.flatMap(({ name }) => Array.from({ length: perGroup }, (_, i) => createOf(name, `${label}-${i}`)));
  await doAll(world, CREATE, calls);
  return calls.map(({ written }) => written);
};

answer({
  prepare: async (world: World): Promise<void> => {
    const deks = await generateDeks(world, DEKS_PER_SCOPE);
    const read = await seed(world, 'read', READ_PER_GROUP);
    open = {
      world,
      operations: {
        echoes: echoes(),
        reads: reads(read),
        'not-modified': await notModified(world, read),
        'batch-access': batchAccesses(read),
        creates: creates(world),
        adds: adds(await seed(world, 'rotated', ROTATED_PER_GROUP)),
        unwraps: unwraps(deks),
        'unwrap-batches': unwrapBatches(deks),
        appends: appends(world),
      },
    };
  },
  run: ({ operation, load }: Job): Promise<Measured> => {
    const { world, operations } = prepared();
    return run(world, operations[operation], load);
  },
  /** What was written under load is there. */
  readBack: (operation: Name): Promise<void> => {
    const { world, operations } = prepared();
    return doAll(world, READ, operations[operation].readBack?.() ?? []);
  },
});
