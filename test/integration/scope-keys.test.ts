// Scopes as a service uses them: DEKs of its own making, keys that get new versions while they are used, wraps that move, and
// scopes of other services, which are not there. A second service is a second identity that the allowlist takes.
import { randomBytes, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { configFileOf } from '../../src/dev/configs.ts';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Scope_State, type DekContext, type ItemError } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica, type Replica } from '../support/replica.ts';

const stack = inject('stack');
const opened: Clients[] = [];
const as = (name: Parameters<typeof clientsOf>[1], at = stack): Clients => {
  const clients = clientsOf(at, name);
  opened.push(clients);
  return clients;
};
const [store, worker, operator, auditor] = (['store', 'worker', 'operator', 'auditor'] as const).map((name) => as(name)) as [
  Clients,
  Clients,
  Clients,
  Clients,
];

let second: Replica;
/** The same service, at another replica; and another service of the same rights there. */
let [there, stranger]: Clients[] = [];
beforeAll(async () => {
  const { allow } = JSON.parse(readFileSync(configFileOf(stack, 'keys'), 'utf8')) as { allow: Record<string, string[]> };
  const widened = Object.entries(allow).map(([method, ids]) => [
    method,
    ids.includes('*') ? ids : [...new Set([...ids, spiffeIdOf('app')])],
  ]);
  const provisioners = [spiffeIdOf('store'), spiffeIdOf('app')];
  second = await startReplica(stack, 'keys', { allow: Object.fromEntries(widened), provisioners });
  [there, stranger] = [as('store', second.stack), as('app', second.stack)];
});
afterAll(async () => {
  for (const clients of opened) clients[Symbol.dispose]();
  await second[Symbol.asyncDispose]();
});

interface Made {
  rootKey: string;
  scope: string;
  context: DekContext;
}

const newScope = async (owner: string = randomUUID(), rootKey?: string, by: Clients = store): Promise<Made> => {
  const under = rootKey ?? (await store.keys.createRootKey({ parent: 'keyRings/provider', rootKeyId: owner, owner })).name;
  const { name: scope } = await by.envelopes.createScope({ scopeUid: randomUUID(), rootKey: under, instanceUid: owner });
  const context = { instanceUid: owner, resourceUid: randomUUID(), version: 1, additionalData: Buffer.from('of mine') };
  return { rootKey: under, scope, context };
};
const errorOf = (outcome: { $case: string; value: unknown } | undefined): string =>
  outcome?.$case === 'error' ? (outcome.value as ItemError).reason : 'none';

describe('a key of the caller’s own', () => {
  it('comes back as it was wrapped, for the same use only', async () => {
    const { scope, context } = await newScope();
    const dek = randomBytes(32);
    const { wrappedDek } = await store.envelopes.wrapDek({ scope, context, dek });
    expect(await store.envelopes.unwrapDek({ scope, context, wrappedDek })).toEqual({ dek, wrappedDek: Buffer.alloc(0) });
    const other = { ...context, additionalData: Buffer.from('of another') };
    expect(await properRefusalOf(store.envelopes.unwrapDek({ scope, context: other, wrappedDek }))).toMatchObject({
      reason: 'CIPHERTEXT_INVALID',
    });
  });

  it.each([0, 31, 33])('of %i bytes is refused', async (length) => {
    const { scope, context } = await newScope();
    const refused = await properRefusalOf(store.envelopes.wrapDek({ scope, context, dek: Buffer.alloc(length) }));
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['dek'] });
  });

  it('takes 1024 bytes of additional data, and no more', async () => {
    const { scope, context } = await newScope();
    const withBytes = (length: number) =>
      store.envelopes.generateDek({ scope, context: { ...context, additionalData: Buffer.alloc(length, 1) } });
    expect((await withBytes(1024)).dek).toHaveLength(32);
    expect(await properRefusalOf(withBytes(1025))).toMatchObject({ reason: 'INVALID_FIELD', fields: ['context.additional_data'] });
  });
});

describe('a rotation', () => {
  it('wraps by the new version from then on, opens by the old one, and says when a wrap is old', async () => {
    const { scope, context } = await newScope();
    const old = await store.envelopes.generateDek({ scope, context });
    const rotated = await store.scopes.rotateScopeKey({ name: scope, expectedVersion: 1 });
    expect(rotated).toMatchObject({ primaryVersion: 2, livingVersions: [1, 2], state: Scope_State.ENABLED, service: spiffeIdOf('store') });
    expect((await store.envelopes.generateDek({ scope, context })).wrappedDek.readUInt32BE(1)).toBe(2);
    const { dek, wrappedDek: fresh } = await store.envelopes.unwrapDek({ scope, context, wrappedDek: old.wrappedDek });
    expect(dek).toEqual(old.dek);
    expect(fresh.readUInt32BE(1)).toBe(2);
    expect((await store.envelopes.unwrapDek({ scope, context, wrappedDek: fresh })).dek).toEqual(dek);
  });

  it('that is asked for twice is made once, and one that expects another version is refused', async () => {
    const { scope } = await newScope();
    const rotate = (expectedVersion: number) => store.scopes.rotateScopeKey({ name: scope, expectedVersion });
    const [one, two] = await Promise.all([rotate(1), rotate(1)]);
    expect(two).toEqual(one);
    expect(await rotate(1)).toEqual(one);
    expect(await properRefusalOf(rotate(3))).toMatchObject({ code: 'ABORTED', reason: 'ETAG_MISMATCH' });
    await rotate(2);
    expect(await properRefusalOf(rotate(1))).toMatchObject({ reason: 'ETAG_MISMATCH' });
    expect((await store.envelopes.getScope({ name: scope })).livingVersions).toEqual([1, 2, 3]);
    for (const version of [0, -1]) expect(await properRefusalOf(rotate(version))).toMatchObject({ fields: ['expected_version'] });
  });

  it('is known to every replica at once where it has to be, and wraps everywhere within a second', async () => {
    const { scope, context } = await newScope();
    await there!.envelopes.generateDek({ scope, context });
    await store.scopes.rotateScopeKey({ name: scope, expectedVersion: 1 });
    const { dek, wrappedDek } = await store.envelopes.generateDek({ scope, context });
    expect((await there!.envelopes.unwrapDek({ scope, context, wrappedDek })).dek).toEqual(dek);
    const versionThere = async () => (await there!.envelopes.generateDek({ scope, context })).wrappedDek.readUInt32BE(1);
    await vi.waitFor(async () => expect(await versionThere()).toBe(2), { timeout: 1_000, interval: 50 });
  });

  it('of a destroyed scope is refused, and its destruction takes every version', async () => {
    const { scope, context } = await newScope();
    await store.scopes.rotateScopeKey({ name: scope, expectedVersion: 1 });
    const destroyed = await worker.envelopes.destroyScope({ name: scope });
    expect(destroyed).toMatchObject({ state: Scope_State.DESTROYED, livingVersions: [] });
    expect(await properRefusalOf(store.scopes.rotateScopeKey({ name: scope, expectedVersion: 2 }))).toMatchObject({
      reason: 'SCOPE_DESTROYED',
    });
    expect(await properRefusalOf(store.envelopes.generateDek({ scope, context }))).toMatchObject({ reason: 'SCOPE_DESTROYED' });
  });
});

describe('a version that is destroyed', () => {
  it('opens nothing any more, and all else goes on', async () => {
    const { scope, context } = await newScope();
    const old = await store.envelopes.generateDek({ scope, context });
    await store.scopes.rotateScopeKey({ name: scope, expectedVersion: 1 });
    const { wrappedDek: moved } = await store.envelopes.rewrapDek({ scope, context, wrappedDek: old.wrappedDek });
    const destroy = (version: number) => store.scopes.destroyScopeKeyVersion({ name: scope, version });
    expect(await properRefusalOf(destroy(2))).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'KEY_IN_USE' });
    expect(await properRefusalOf(destroy(3))).toMatchObject({ reason: 'NOT_FOUND' });
    expect(await properRefusalOf(destroy(0))).toMatchObject({ fields: ['version'] });
    expect((await destroy(1)).livingVersions).toEqual([2]);
    expect((await destroy(1)).livingVersions).toEqual([2]);
    expect(await properRefusalOf(store.envelopes.unwrapDek({ scope, context, wrappedDek: old.wrappedDek }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'SCOPE_KEY_VERSION_DESTROYED',
    });
    expect((await store.envelopes.unwrapDek({ scope, context, wrappedDek: moved })).dek).toEqual(old.dek);
  });

  it('is of no use at any replica after a second', async () => {
    const { scope, context } = await newScope();
    const { wrappedDek } = await store.envelopes.generateDek({ scope, context });
    await there!.envelopes.unwrapDek({ scope, context, wrappedDek });
    await store.scopes.rotateScopeKey({ name: scope, expectedVersion: 1 });
    await store.scopes.destroyScopeKeyVersion({ name: scope, version: 1 });
    const refused = () => properRefusalOf(there!.envelopes.unwrapDek({ scope, context, wrappedDek }));
    await vi.waitFor(async () => expect((await refused()).reason).toBe('SCOPE_KEY_VERSION_DESTROYED'), { timeout: 1_000, interval: 50 });
  });
});

describe('a wrap that moves', () => {
  it('to another scope of the instance opens there and for the same use', async () => {
    const from = await newScope();
    const { scope: to } = await newScope(from.context.instanceUid, from.rootKey);
    const { scope, context } = from;
    const { dek, wrappedDek } = await store.envelopes.generateDek({ scope, context });
    const moved = await store.envelopes.rewrapDek({ scope, context, wrappedDek, targetScope: to });
    expect((await store.envelopes.unwrapDek({ scope: to, context, ...moved })).dek).toEqual(dek);
    expect(await properRefusalOf(store.envelopes.unwrapDek({ scope, context, ...moved }))).toMatchObject({ reason: 'CIPHERTEXT_INVALID' });
  });

  it('goes to no scope of another instance, and to none that is not there', async () => {
    const [{ scope, context }, other] = [await newScope(), await newScope()];
    const { wrappedDek } = await store.envelopes.generateDek({ scope, context });
    const move = (targetScope: string) => properRefusalOf(store.envelopes.rewrapDek({ scope, context, wrappedDek, targetScope }));
    expect(await move(other.scope)).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['context.instance_uid'] });
    expect(await move(`scopes/${randomUUID()}`)).toMatchObject({ reason: 'NOT_FOUND' });
    expect(await move('nonsense')).toMatchObject({ reason: 'MALFORMED_NAME', fields: ['target_scope'] });
  });

  it('of many at once leaves entries that name every one of them, and few of them', async () => {
    const { scope, context } = await newScope();
    const places = Array.from({ length: 100 }, (_, i) => ({ ...context, resourceUid: randomUUID(), version: i + 1 }));
    const requests = places.map((one) => ({ scope, context: one, callContext: undefined }));
    const correlationId = randomUUID();
    await store.envelopes.batchGenerateDeks({ requests }, { metadata: { 'x-correlation-id': correlationId } });
    const entries = await entriesOfCall(auditor, correlationId);
    expect(entries.length).toBe(3);
    const named = entries.flatMap(({ event }) => event!.attributes.get('deks')!.split(','));
    expect(named).toEqual(places.map(({ resourceUid, version }) => `${resourceUid}/${version}`));
  });

  it('with others gets a result of its own, and an entry that names it', async () => {
    const { scope, context } = await newScope();
    const { dek, wrappedDek } = await store.envelopes.generateDek({ scope, context });
    const request = { scope, context, wrappedDek, targetScope: '', callContext: undefined };
    const requests = [request, { ...request, wrappedDek: Buffer.alloc(117, 2) }, { ...request, scope: `scopes/${randomUUID()}` }, request];
    const correlationId = randomUUID();
    const { results } = await store.envelopes.batchRewrapDeks({ requests }, { metadata: { 'x-correlation-id': correlationId } });
    expect(results.map(({ outcome }) => errorOf(outcome))).toEqual(['none', 'CIPHERTEXT_INVALID', 'NOT_FOUND', 'none']);
    for (const { outcome } of [results[0]!, results[3]!]) {
      if (outcome?.$case !== 'response') throw new Error('it failed');
      expect((await store.envelopes.unwrapDek({ scope, context, ...outcome.value })).dek).toEqual(dek);
    }
    const named = `${context.resourceUid}/${context.version}`;
    const entries = await entriesOfCall(auditor, correlationId);
    expect(entries.map(({ event }) => [event?.action, event?.reason, event?.attributes.get('deks')])).toEqual([
      ['keys.dek.rewrap', '', `${named},${named}`],
      ['keys.dek.rewrap', 'CIPHERTEXT_INVALID', named],
      ['keys.dek.rewrap', 'NOT_FOUND', named],
    ]);
  });

  it.each([0, 1001])('is refused among %i', async (count) => {
    const requests = Array.from({ length: count }, () => ({
      scope: '',
      context: undefined,
      wrappedDek: Buffer.alloc(0),
      targetScope: '',
      callContext: undefined,
    }));
    expect(await properRefusalOf(store.envelopes.batchRewrapDeks({ requests }))).toMatchObject({ fields: ['requests'] });
  });
});

describe('a scope of another service', () => {
  it('is answered in every call as one that does not exist, destroyed or not', async () => {
    const { scope, context } = await newScope();
    const mine = await newScope(context.instanceUid, (await store.envelopes.getScope({ name: scope })).rootKey, stranger);
    const { wrappedDek } = await there!.envelopes.generateDek({ scope, context });
    const { wrappedDek: own } = await stranger!.envelopes.generateDek({ scope: mine.scope, context });
    const dek = Buffer.alloc(32, 3);
    const calls = (name: string): Promise<unknown>[] => [
      stranger!.envelopes.getScope({ name }),
      stranger!.envelopes.destroyScope({ name }),
      stranger!.envelopes.generateDek({ scope: name, context }),
      stranger!.envelopes.wrapDek({ scope: name, context, dek }),
      stranger!.envelopes.unwrapDek({ scope: name, context, wrappedDek }),
      stranger!.envelopes.rewrapDek({ scope: name, context, wrappedDek }),
      stranger!.envelopes.rewrapDek({ scope: mine.scope, context, wrappedDek: own, targetScope: name }),
      stranger!.scopes.rotateScopeKey({ name, expectedVersion: 1 }),
      stranger!.scopes.destroyScopeKeyVersion({ name, version: 1 }),
    ];
    const unknown = `scopes/${randomUUID()}`;
    const answers = async (name: string) =>
      (await Promise.all(calls(name).map((call) => properRefusalOf(call)))).map(({ code, reason, message }) => [
        code,
        reason,
        message.replaceAll(name, '?'),
      ]);
    const absent = await answers(unknown);
    expect(new Set(absent.map(([, reason]) => reason))).toEqual(new Set(['NOT_FOUND']));
    expect(await answers(scope)).toEqual(absent);
    const { results } = await stranger!.envelopes.batchGetScopes({ names: [scope, mine.scope] });
    expect(results.map(({ outcome }) => errorOf(outcome))).toEqual(['NOT_FOUND', 'none']);
    expect((await store.envelopes.getScope({ name: scope })).state).toBe(Scope_State.ENABLED);
    await store.envelopes.destroyScope({ name: scope });
    expect(await answers(scope)).toEqual(absent);
  });

  it('can be seen and destroyed by the deputy of that service, who can do no more with it', async () => {
    const { scope } = await newScope();
    expect((await operator.envelopes.getScope({ name: scope })).state).toBe(Scope_State.ENABLED);
    expect((await worker.envelopes.destroyScope({ name: scope })).state).toBe(Scope_State.DESTROYED);
    const { scope: foreign } = await newScope(randomUUID(), undefined, store);
    expect((await worker.envelopes.batchGetScopes({ names: [foreign] })).results[0]?.outcome?.$case).toBe('scope');
  });

  it('keeps its UUID: nobody else can create a scope of it', async () => {
    const { scope, rootKey, context } = await newScope();
    const again = { scopeUid: scope.slice('scopes/'.length), rootKey, instanceUid: context.instanceUid };
    expect((await there!.envelopes.createScope(again)).name).toBe(scope);
    expect(await properRefusalOf(stranger!.envelopes.createScope(again))).toMatchObject({ reason: 'ALREADY_EXISTS' });
  });
});
