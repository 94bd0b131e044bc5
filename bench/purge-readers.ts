// The readers of the purge bench, a process of their own: a closed loop of a few callers that read secrets of their own
// instance, before and while another one is purged.
import { answer } from './child.ts';
import { nearestRank } from './figures.ts';
import { openChannel } from './grpc.ts';
import { doAll, portOf, type World } from './operation.ts';
import { CREATE, createOf } from './operations/creates.ts';
import { READ, reads } from './operations/reads.ts';

const SECRETS = 50;
export const READERS = 4;

export interface Latencies {
  calls: number;
  errors: number;
  seconds: number;
  /** Milliseconds. */
  p50: number;
  p99: number;
  most: number;
}

let taken: number[] = [];
let errors = 0;
let since = performance.now();

const start = async (world: World): Promise<void> => {
  const calls = world.groups.flatMap(({ name }) => Array.from({ length: SECRETS }, (_, i) => createOf(name, `reader-${i}`)));
  await doAll(world, CREATE, calls);
  const operation = reads(calls.map(({ written }) => written));
  const channel = openChannel(world.stack, READ.as, portOf(world, READ.to), READERS);
  const work = async (): Promise<void> => {
    for (;;) {
      const { request, check } = operation.next();
      const begun = performance.now();
      const reply = await channel.call(operation.path, request).catch(() => undefined);
      if (reply?.status === 0) check(reply.body);
      else errors++;
      taken.push(performance.now() - begun);
    }
  };
  // They end with the process.
  for (let i = 0; i < READERS; i++) void work();
};

/** Of the reads since the last question. */
const latencies = async (): Promise<Latencies> => {
  const sorted = taken.toSorted((a, b) => a - b);
  const now = performance.now();
  const result = {
    calls: sorted.length,
    errors,
    seconds: (now - since) / 1_000,
    p50: nearestRank(sorted, 0.5),
    p99: nearestRank(sorted, 0.99),
    most: sorted.at(-1) ?? Number.NaN,
  };
  [taken, errors, since] = [[], 0, now];
  return result;
};

answer({ start, latencies });
