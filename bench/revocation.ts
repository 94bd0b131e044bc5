// `make bench BENCH=revocation`: how long after a revocation was acknowledged what it takes away is still of use, at three replicas of
// the key service that are used all the time; one is stopped now and then, and one cut off from its database.
import { parseArgs } from 'node:util';
import { DISTURBANCES, KINDS, revokeMany, type Revocation } from '../test/support/revocations.ts';
import { startStack } from '../test/support/stack.ts';
import { saveResult, say } from './figures.ts';
import { describeMachine, sayMachine } from './machine.ts';

const BOUND_MS = 1_000;

const { values } = parseArgs({ options: { revocations: { type: 'string', default: '200' } } });
const COUNT = Number(values.revocations);

const rowOf = (what: string, some: readonly Revocation[]): string => {
  const gaps = some.map(({ gap }) => gap).sort((a, b) => a - b);
  const at = (share: number) => (gaps[Math.min(gaps.length - 1, Math.floor(gaps.length * share))] ?? 0).toFixed(0).padStart(5);
  const late = gaps.filter((gap) => gap >= BOUND_MS).length;
  return `| ${what.padEnd(26)} | ${String(gaps.length).padStart(5)} | ${at(0.5)} | ${at(0.95)} | ${at(1)} | ${String(late).padStart(4)} |`;
};

const tell = (all: readonly Revocation[]): string =>
  [
    `| ${'last use after it, in ms'.padEnd(26)} | count |   p50 |   p95 |   max | late |`,
    `|${'-'.repeat(28)}|------:|------:|------:|------:|-----:|`,
    rowOf('all', all),
    ...KINDS.map((kind) =>
      rowOf(
        `by ${kind}`,
        all.filter((one) => one.kind === kind),
      ),
    ),
    ...DISTURBANCES.map((disturbance) =>
      rowOf(
        `with ${disturbance}`,
        all.filter((one) => one.disturbance === disturbance),
      ),
    ),
  ].join('\n');

say('starting a stack of its own, with three replicas of the key service ...');
await using running = await startStack();
const machine = await describeMachine(running.stack);
say(sayMachine(machine));
const revocations: Revocation[] = [];
await revokeMany(running.stack, COUNT, (revocation) => revocations.push(revocation));
const file = saveResult('revocation', { machine, revocations });
say(`\n${tell(revocations)}\n${file}`);
