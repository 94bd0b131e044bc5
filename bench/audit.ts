// `make bench BENCH=audit`: what an append, a proof and a page of a list cost in an audit log of 1,000 entries, of ten times as many,
// and so on up to ARGS='--entries 10000000'. The log grows through its own front door, at full rate.
import { parseArgs } from 'node:util';
import { connect } from '../src/dev/provision.ts';
import { spiffeIdOf, type Stack } from '../src/dev/stack.ts';
import { Event } from '../src/gen/strongroom/audit/v1/audit_service.ts';
import { newUid } from '../src/kernel/uid.ts';
import { clientsOf } from '../test/support/clients.ts';
import { startStack } from '../test/support/stack.ts';
import { openChannel } from './grpc.ts';
import { percentile, saveResult, say } from './figures.ts';
import { describeMachine, sayMachine } from './machine.ts';
import type { World } from './operation.ts';
import { appends } from './operations/appends.ts';

const IN_FLIGHT = 24;
const SAMPLES = 200;
const GROUPS = 100;

const { values } = parseArgs({ options: { entries: { type: 'string', default: '100000' } } });
const ENTRIES = Number(values.entries);

/** Milliseconds of one call after the other. */
const times = async (call: () => Promise<unknown>): Promise<{ p50: number; p99: number }> => {
  const taken: number[] = [];
  for (let i = 0; i < SAMPLES; i++) {
    const begun = performance.now();
    await call();
    taken.push(performance.now() - begun);
  }
  return { p50: percentile(taken, 0.5), p99: percentile(taken, 0.99) };
};

const within = async <Row>(stack: Stack, text: string): Promise<Row[]> => {
  const client = await connect(stack, 'audit', 'owner');
  try {
    return (await client.query<Row & Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
};

/** Bytes in tables and in their indexes, by what they are for. */
const SIZES = `select regexp_replace(c.relname, '_[0-9]+$', '') as name, sum(pg_table_size(c.oid))::float8 as heap,
  sum(pg_indexes_size(c.oid))::float8 as indexes
  from pg_class c where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace group by 1 having sum(pg_table_size(c.oid)) > 65536 order by 2 desc`;

say('starting a stack of its own ...');
await using running = await startStack();
const { stack } = running;
const machine = await describeMachine(stack);
say(sayMachine(machine));
using auditor = clientsOf(stack, 'auditor');
using store = clientsOf(stack, 'store');

const instance = { name: 'instances/bench', uid: newUid() };
const groups = Array.from({ length: GROUPS }, (_, i) => ({ name: `instances/bench/groups/g${i}`, uid: newUid() }));
const load = appends({ stack, echoPort: 0, instance, groups } satisfies World);
const channel = openChannel(stack, 'store', stack.ports.audit, 4);

/** Answers how many entries a second it took. */
const growTo = async (size: number): Promise<number> => {
  const { treeSize } = await auditor.auditLog.getCheckpoint({});
  let calls = Math.max(0, Math.ceil((size - Number(treeSize)) / load.items));
  const entries = calls * load.items;
  const begun = performance.now();
  const work = async (): Promise<void> => {
    while (calls-- > 0) {
      const { request, check } = load.next();
      const { status, message, body } = await channel.call(load.path, request);
      if (status !== 0) throw new Error(`AppendEvents answered ${status}: ${message}`);
      check(body);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, work));
  return (entries * 1_000) / (performance.now() - begun);
};

const oneEvent = () =>
  Event.fromPartial({ eventId: newUid(), occurTime: new Date(), action: 'bench.single.append', principal: spiffeIdOf('app'), outcome: 1 });

const measureAt = async (size: number) => {
  const perSecond = await growTo(size);
  await within(stack, 'analyze');
  const anyIndex = () => BigInt(Math.floor(Math.random() * size));
  const entry = await auditor.auditLog.getEntry({ index: anyIndex() });
  const { resource = '', correlationId = '' } = entry.event ?? {};
  const list = (filter: object) => times(() => auditor.auditLog.listEntries({ pageSize: 50, ...filter }));
  const measured = {
    append: await times(() => store.auditWriter.appendEvents({ events: [oneEvent()] })),
    proof: await times(() => auditor.auditLog.getInclusionProof({ index: anyIndex() })),
    get: await times(() => auditor.auditLog.getEntry({ index: anyIndex() })),
    newest: await list({}),
    byResource: await list({ resource }),
    byGroup: await list({ resource: resource.split('/').slice(0, 4).join('/') }),
    byCorrelation: await list({ correlationId }),
    byPrincipal: await list({ principal: spiffeIdOf('auditor') }),
    byRarePrincipal: await list({ principal: 'spiffe://strongroom.internal/nobody' }),
    byAction: await list({ action: 'bench.single.append' }),
  };
  const [{ bytes } = { bytes: 0 }] = await within<{ bytes: number }>(stack, 'select pg_database_size(current_database())::float8 as bytes');
  const figures = Object.entries(measured).map(([name, { p50, p99 }]) => `${name} ${p50.toFixed(2)}/${p99.toFixed(2)}`);
  say(`${size} entries: ${Math.round(perSecond)} entries/s; ms p50/p99: ${figures.join(', ')}; ${Math.round(bytes / size)} bytes an entry`);
  return { size, perSecond, bytes, ...measured };
};

const sizes = [];
for (let size = 1_000; size <= ENTRIES; size *= 10) sizes.push(await measureAt(size));
channel.close();
const tables = await within<{ name: string; heap: number; indexes: number }>(stack, SIZES);
for (const { name, heap, indexes } of tables)
  say(`${name}: ${Math.round(heap / ENTRIES)} bytes an entry, its indexes ${Math.round(indexes / ENTRIES)}`);
say(saveResult('audit', { machine, sizes, tables }));
