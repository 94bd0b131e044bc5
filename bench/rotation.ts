// `make bench BENCH=rotation`: how long the rotation of a root key with many scopes takes, what callers notice of it, and what the cache
// of as many scope keys takes of memory. A scope is a secret group: what is in it does not matter, since no data key is touched.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { RootKeyRotation_State } from '../src/gen/strongroom/keys/v1/key_version_service.ts';
import { clientsOf, type Clients } from '../test/support/clients.ts';
import { grantUse, newCustomer, newWrap } from '../test/support/customer-keys.ts';
import { startStack } from '../test/support/stack.ts';
import { percentile, saveResult, say } from './figures.ts';
import { describeMachine, sayMachine } from './machine.ts';
import { pidsOf } from './world.ts';

const AT_ONCE = 32;
const READERS = 4;

const { values } = parseArgs({ options: { scopes: { type: 'string', default: '1000' }, rounds: { type: 'string', default: '5' } } });
const [SCOPES, ROUNDS] = [Number(values.scopes), Number(values.rounds)];

type Wrap = Awaited<ReturnType<typeof newWrap>>;

const residentMiB = (pid: number): number =>
  Math.round(Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) / 1024);

const makeWraps = async (store: Clients, rootKey: string): Promise<Wrap[]> => {
  const wraps: Wrap[] = [];
  const make = async () => {
    while (wraps.length < SCOPES) wraps.push(await newWrap(store, rootKey));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, make));
  return wraps;
};

/** Unwraps all of them, some at a time, again and again, until it is stopped. */
const startReading = (store: Clients, wraps: readonly Wrap[]) => {
  let [going, at, failed] = [true, 0, 0];
  const latencies: number[] = [];
  const read = async () => {
    while (going) {
      const { dek, ...request } = wraps[at++ % wraps.length]!;
      const begun = performance.now();
      const answer = await store.envelopes.unwrapDek(request).catch(() => undefined);
      if (!answer?.dek.equals(dek)) failed++;
      latencies.push(performance.now() - begun);
    }
  };
  const reading = Array.from({ length: READERS }, read);
  return async () => {
    going = false;
    await Promise.all(reading);
    return { reads: latencies.length, failed, p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
  };
};

say('starting a stack of its own ...');
await using running = await startStack();
const machine = await describeMachine(running.stack);
say(sayMachine(machine));
using operator = clientsOf(running.stack, 'operator');
using store = clientsOf(running.stack, 'store');
using customer = await newCustomer(running.stack, operator);
const { name } = await customer.newKey();
await grantUse(customer.manager, name);
const wraps = await makeWraps(store, name);
for (let i = 0; i < wraps.length; i += AT_ONCE)
  await Promise.all(wraps.slice(i, i + AT_ONCE).map((wrap) => store.envelopes.unwrapDek(wrap)));
const memoryMiB = residentMiB((await pidsOf(running.stack))['keys']!);
say(`${wraps.length} scopes under one root key, all of them in use; the key service holds ${memoryMiB} MiB`);

const rounds = [];
for (let round = 1; round <= ROUNDS; round++) {
  const stop = startReading(store, wraps);
  await customer.manager.keyVersions.rotateRootKey({ name, primaryVersion: round });
  const last = (await Array.fromAsync(customer.manager.watchRotation({ name }, { timeoutMs: 600_000 }))).at(-1)!;
  const readers = await stop();
  if (last.state !== RootKeyRotation_State.DONE || last.movedCount !== BigInt(wraps.length)) throw new Error('not all scopes have moved');
  const seconds = (last.endTime!.getTime() - last.startTime!.getTime()) / 1_000;
  rounds.push({ seconds, readers });
  say(
    `round ${round}/${ROUNDS}  moved in ${seconds.toFixed(2)} s; meanwhile ${readers.reads} unwraps, ${readers.failed} failed, p50 ${readers.p50.toFixed(1)} ms, p99 ${readers.p99.toFixed(1)} ms`,
  );
}
const file = saveResult('rotation', { machine, scopes: SCOPES, memoryMiB, rounds });
const seconds = rounds.map((round) => round.seconds);
say(
  `\nmedian ${percentile(seconds, 0.5).toFixed(2)} s, from ${Math.min(...seconds).toFixed(2)} to ${Math.max(...seconds).toFixed(2)} s\n${file}`,
);
