// `make bench BENCH=export`: how fast the command `export-log` copies the audit log over the wire, checking every hash on its way, with
// every file on stable storage; and how long proofs from that log take.
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openSigner } from '../src/audit/note.ts';
import { addressOf, MAIN, spiffeIdOf, tlsFilesOf, TRUST_DOMAIN } from '../src/dev/stack.ts';
import { Event, Event_Outcome } from '../src/gen/strongroom/audit/v1/audit_service.ts';
import { clientsOf } from '../test/support/clients.ts';
import { startStack } from '../test/support/stack.ts';
import { median, saveResult, say } from './figures.ts';
import { describeMachine, sayMachine } from './machine.ts';

const BATCH = 1_000;
const PROOFS = 500;

const { values } = parseArgs({ options: { entries: { type: 'string', default: '200000' }, rounds: { type: 'string', default: '5' } } });
const [ENTRIES, ROUNDS] = [Number(values.entries), Number(values.rounds)];

/** Some 600 bytes as an entry. */
const event = (): Event =>
  Event.fromPartial({
    eventId: randomUUID(),
    occurTime: new Date(),
    action: 'secrets.version.access',
    principal: spiffeIdOf('app'),
    resource: `instances/bench/groups/some-group/secrets/${randomUUID()}/versions/1`,
    instanceUid: randomUUID(),
    outcome: Event_Outcome.SUCCESS,
    correlationId: randomUUID(),
    sourceAddress: '127.0.0.1',
    attributes: new Map([['version', '1']]),
  });

say('starting a stack of its own ...');
await using running = await startStack();
const { stack } = running;
const machine = await describeMachine(stack);
say(sayMachine(machine));
using store = clientsOf(stack, 'store');
using auditor = clientsOf(stack, 'auditor');
const fill = async (batches: number): Promise<void> => {
  for (let i = 0; i < batches; i++) await store.auditWriter.appendEvents({ events: Array.from({ length: BATCH }, event) });
};
await Promise.all([1, 2, 3, 4].map(() => fill(Math.ceil(ENTRIES / BATCH / 4))));

const { text } = openSigner(`${TRUST_DOMAIN}/audit`, readFileSync(join(stack.state, 'audit-signing.key'))).verifier;
const config = join(stack.state, 'export.json');
const audit = { address: addressOf(stack, 'audit'), spiffeId: spiffeIdOf('audit') };
writeFileSync(config, JSON.stringify({ tls: tlsFilesOf(stack, 'auditor'), audit, verifierKeys: [text] }));
const rates: number[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  const begun = performance.now();
  const { status, stdout, stderr } = spawnSync('node', [MAIN, 'export-log', config, join(stack.state, `export-${round}`)], {
    encoding: 'utf8',
  });
  const seconds = (performance.now() - begun) / 1_000;
  if (status !== 0) throw new Error(stderr);
  const entries = Number(/all (\d+) entries/.exec(stdout)?.[1]);
  rates.push(entries / seconds);
  say(`round ${round}/${ROUNDS}  ${entries} entries in ${seconds.toFixed(2)} s: ${Math.round(entries / seconds)} entries/s`);
}

const timed = async (call: () => Promise<unknown>): Promise<number> => {
  const begun = performance.now();
  await call();
  return performance.now() - begun;
};
const { treeSize } = await auditor.auditLog.getCheckpoint({});
const some = () => BigInt(Math.floor(Math.random() * Number(treeSize)));
const [inclusion, consistency]: [number[], number[]] = [[], []];
for (let i = 0; i < PROOFS; i++) {
  inclusion.push(await timed(() => auditor.auditLog.getInclusionProof({ index: some() })));
  consistency.push(await timed(() => auditor.auditLog.getConsistencyProof({ firstSize: some() })));
}
const figures = { entriesPerSecond: median(rates), inclusionMs: median(inclusion), consistencyMs: median(consistency) };
const file = saveResult('export', { machine, entries: Number(treeSize), rates, ...figures });
say(
  `\nmedian ${Math.round(figures.entriesPerSecond)} entries/s; a proof of inclusion ${figures.inclusionMs.toFixed(2)} ms, of consistency ${figures.consistencyMs.toFixed(2)} ms (p50, the call's own entry included)\n${file}`,
);
