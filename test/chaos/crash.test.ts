// kill -9 while writers write and readers read, at random moments, of one process after another. What was acknowledged is
// there, once and right; what was not is there once after it was asked for again; and the audit log has all of it.
import type { ServiceError } from '@grpc/grpc-js';
import { status } from '@grpc/grpc-js';
import { createHash, randomBytes, randomInt, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseCheckpoint } from '../../src/audit/checkpoint.ts';
import { openNote, parseVerifier } from '../../src/audit/note.ts';
import { PARTS, spiffeIdOf, type Part, type Stack } from '../../src/dev/stack.ts';
import { Event_Outcome, type Entry } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { naiveTree } from '../audit/naive.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { end, pidOf, restart, startStack, type TestStack } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const ROUNDS: Readonly<Partial<Record<Part, number>>> =
  process.env['STRONGROOM_CRASH'] === 'all'
    ? { store: 10, keys: 10, audit: 10, postgres: 3 }
    : { store: 3, keys: 3, audit: 3, postgres: 2 };
const WRITERS = 6;

// Much longer than it takes: the machine may have other things to do.
vi.setConfig({ testTimeout: 240_000 });

let running: TestStack;
let stack: Stack;
let [operator, app, auditor]: Clients[] = [];
let tenant: Tenant;
beforeAll(async () => {
  running = await startStack();
  ({ stack } = running);
  [operator, app, auditor] = (['operator', 'app', 'auditor'] as const).map((name) => clientsOf(stack, name));
  tenant = await newTenant(operator!);
  await bind(operator!, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
});
afterAll(async () => {
  [going, stopped] = [false, true];
  for (const clients of [operator, app, auditor]) clients?.[Symbol.dispose]();
  await running[Symbol.asyncDispose]();
});

/** What was acknowledged. */
const values = new Map<string, string>();
const writes: { id: string; name: string }[] = [];
const reads: { id: string; name: string }[] = [];
const failures = new Map<string, number>();
let going = true;
/** The stack is gone: nothing can end well any more. */
let stopped = false;

const note = (error: unknown): void => {
  const { code } = error as ServiceError;
  const name = status[code] ?? String(error);
  failures.set(name, (failures.get(name) ?? 0) + 1);
};
/** Asks until it is answered, with the same request each time, as a good client does. */
const insist = async <T>(
  call: (options: { timeoutMs: number; metadata: Record<string, string> }) => Promise<T>,
): Promise<{ id: string; reply: T }> => {
  const id = randomUUID();
  for (;;) {
    try {
      return { id, reply: await call({ timeoutMs: 2_000, metadata: { 'x-correlation-id': id } }) };
    } catch (error) {
      note(error);
      if (!going && stopped) throw error;
      await sleep(20);
    }
  }
};

const writer = async (): Promise<void> => {
  while (going) {
    const first = randomBytes(16).toString('hex');
    const create = { parent: tenant.group, secretId: newId('s'), payload: text(first), ...fresh() };
    const made = await insist((options) => app!.secrets.createSecret(create, options));
    const { name } = made.reply;
    writes.push({ id: made.id, name });
    values.set(`${name}/versions/1`, first);
    for (let version = 2; going && version < 6; version++) {
      const value = randomBytes(16).toString('hex');
      const add = { parent: name, payload: text(value), ...fresh() };
      const added = await insist((options) => app!.secrets.addSecretVersion(add, options));
      // One writer for each secret: a version that was made twice would show in the number.
      expect(added.reply.name).toBe(`${name}/versions/${version}`);
      writes.push({ id: added.id, name: added.reply.name });
      values.set(added.reply.name, value);
      await sleep(randomInt(20));
    }
  }
};
const reader = async (): Promise<void> => {
  for (; going; await sleep(5)) {
    const known = [...values.keys()];
    if (known.length === 0) continue;
    const name = known[randomInt(known.length)]!;
    const id = randomUUID();
    try {
      const { payload } = await app!.access.accessSecretVersion({ name }, { timeoutMs: 2_000, metadata: { 'x-correlation-id': id } });
      expect(payload).toEqual(text(values.get(name)!));
      reads.push({ id, name });
    } catch (error) {
      if (!(error as Partial<ServiceError>).details) throw error;
      note(error);
    }
  }
};

describe('with writers and readers at work', () => {
  let work: Promise<unknown>;
  beforeAll(() => {
    work = Promise.all([...Array.from({ length: WRITERS }, writer), reader(), reader()]);
  });

  it.each(Object.entries(ROUNDS) as [Part, number][])(
    '%s is killed %i times and comes back, and nothing else ends',
    async (part, rounds) => {
      for (let round = 1; round <= rounds; round++) {
        const others = PARTS.filter((other) => other !== part);
        const before = await Promise.all(others.map((other) => pidOf(stack, other)));
        await sleep(randomInt(20, 400));
        const acknowledged = writes.length;
        await end(stack, part, 'SIGKILL');
        await restart(stack);
        expect(await Promise.all(others.map((other) => pidOf(stack, other)))).toEqual(before);
        await vi.waitFor(() => expect(writes.length).toBeGreaterThan(acknowledged), { timeout: 15_000, interval: 20 });
      }
    },
  );

  it('all that was begun ends once everything runs, and every failure was one that says: try again', async () => {
    await sleep(500);
    going = false;
    await work;
    expect([...failures.keys()].filter((code) => !['UNAVAILABLE', 'DEADLINE_EXCEEDED', 'CANCELLED', 'ABORTED'].includes(code))).toEqual([]);
    expect(writes.length).toBeGreaterThan(200);
    expect(reads.length).toBeGreaterThan(100);
  });
});

/** RFC 6962, section 2.1. */
const hashOf = (leaf: Buffer): Buffer => createHash('sha256').update(Buffer.of(0)).update(leaf).digest();

describe('afterwards', () => {
  let entries: Entry[] = [];

  it('every acknowledged value is read as it was written, and there are no versions beside them', async () => {
    const all = [...values];
    while (all.length > 0)
      await Promise.all(
        all
          .splice(0, 64)
          .map(async ([name, value]) => expect((await app!.access.accessSecretVersion({ name })).payload, name).toEqual(text(value))),
      );
    const secrets = Map.groupBy(values.keys(), (name) => name.split('/versions/')[0]!);
    for (const [parent, names] of secrets) {
      const { secretVersions } = await app!.secrets.listSecretVersions({ parent });
      expect(secretVersions.map(({ name }) => name).toReversed()).toEqual(names);
    }
    expect([...secrets.keys()].length).toBe(writes.filter(({ name }) => !name.includes('/versions/')).length);
  });

  it('the log has every entry once, without a gap, and its tree is the one that its checkpoint signs', async () => {
    // What the outboxes still hold arrives by itself.
    await vi.waitFor(
      async () => {
        entries = await entriesOf(auditor!, {});
        const told = new Set(entries.map(({ event }) => event!.correlationId));
        expect(writes.filter(({ id }) => !told.has(id))).toEqual([]);
      },
      { timeout: 10_000, interval: 500 },
    );
    const checkpoint = await auditor!.auditLog.getCheckpoint({});
    entries = await entriesOf(auditor!, {});
    expect(entries.map(({ index }) => index)).toEqual(entries.map((_, i) => BigInt(i)));
    expect(new Set(entries.map(({ source, event }) => `${source} ${event!.eventId}`)).size).toBe(entries.length);
    for (const { leaf, leafHash } of entries) expect(hashOf(leaf).equals(leafHash)).toBe(true);
    const times = entries.map(({ recordTime }) => recordTime!.getTime());
    expect(times).toEqual(times.toSorted((a, b) => a - b));

    const tree = naiveTree(entries.map(({ leaf }) => hashOf(leaf)));
    expect(tree.range(0, Number(checkpoint.treeSize)).equals(checkpoint.rootHash)).toBe(true);
    const told = parseCheckpoint(openNote(checkpoint.note, parseVerifier(checkpoint.verifierKey)!)!);
    expect(told).toMatchObject({ size: checkpoint.treeSize, root: checkpoint.rootHash });
  });

  it('every acknowledged change and read is in it, every change once', () => {
    const { SUCCESS } = Event_Outcome;
    const byCall = Map.groupBy(
      entries.filter(({ source, event }) => source === spiffeIdOf('store') && event!.outcome === SUCCESS),
      ({ event }) => event!.correlationId,
    );
    const changes = (id: string) =>
      (byCall.get(id) ?? []).filter(({ event }) => !event!.attributes.has('replay')).map(({ event }) => event!.resource);
    for (const { id, name } of writes) expect(changes(id)).toEqual([name]);
    for (const { id, name } of reads) expect((byCall.get(id) ?? []).map(({ event }) => event!.resource)).toContain(name);
  });
});
