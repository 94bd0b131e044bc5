// `make bench BENCH=revocation`: how long after a revocation was acknowledged what it takes away is still of use, at three replicas of
// the key service that are used all the time; one is stopped now and then, and one cut off from its database.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { DISTURBANCES, KINDS, revokeMany, type Revocation } from '../test/support/revocations.ts';
import { startStack } from '../test/support/stack.ts';
import { describeMachine, sayMachine } from './machine.ts';

const RESULTS = join(import.meta.dirname, 'results');
const BOUND_MS = 1_000;

const say = (line: string): void => void process.stdout.write(`${line}\n`);
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
mkdirSync(RESULTS, { recursive: true });
const date = new Date().toISOString();
const file = join(RESULTS, `revocation-${date.slice(0, 19).replaceAll(':', '')}.json`);
writeFileSync(file, `${JSON.stringify({ date, machine, revocations }, undefined, 1)}\n`);
say(`\n${tell(revocations)}\n${relative('', file)}`);
