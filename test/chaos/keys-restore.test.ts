// A keys database that comes back from a backup: what was destroyed after it is destroyed again before anything is served.
import type { ServiceError } from '@grpc/grpc-js';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { configFileOf } from '../../src/dev/configs.ts';
import { ROOT, spiffeIdOf, type Stack } from '../../src/dev/stack.ts';
import { HealthCheckResponse_ServingStatus } from '../../src/gen/grpc/health/v1/health.ts';
import { Event, Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Scope_State } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { RootKey_State } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { clientsOf, decodeRefusal, type Clients } from '../support/clients.ts';
import { grantUse, newCustomer, newWrap } from '../support/customer-keys.ts';
import { backUp, bringBack, type KeysBackup, type Sql } from '../support/keys-tables.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { end, logOf, restart, startStack, withDatabase, type TestStack } from '../support/stack.ts';

let own: TestStack;
let stack: Stack;
let [operator, store, worker, auditor]: Clients[] = [];
beforeAll(async () => {
  own = await startStack();
  ({ stack } = own);
  [operator, store, worker, auditor] = (['operator', 'store', 'worker', 'auditor'] as const).map((name) => clientsOf(stack, name));
});
afterAll(async () => {
  for (const clients of [operator, store, worker, auditor]) clients?.[Symbol.dispose]();
  await own[Symbol.asyncDispose]();
});

const inDatabase = <T>(work: (sql: Sql) => Promise<T>): Promise<T> =>
  withDatabase(
    stack,
    'keys',
    (client) =>
      work({ sql: async <Row extends object>(text: string, values: unknown[] = []) => (await client.query<Row>(text, values)).rows }),
    'superuser',
  );
const take = (): Promise<KeysBackup> => inDatabase(backUp);
const restore = (backup: KeysBackup): Promise<void> => inDatabase((database) => bringBack(database, backup));
const confirmed = async (): Promise<bigint> =>
  BigInt((await inDatabase(({ sql }) => sql<{ index: string }>('select index::text from destructions_confirmed')))[0]!.index);

const newKey = async () => {
  const owner = randomUUID();
  const { name: rootKey } = await store!.keys.createRootKey({ parent: 'keyRings/provider', rootKeyId: owner, owner });
  const { name: scope } = await store!.envelopes.createScope({ scopeUid: randomUUID(), rootKey, instanceUid: owner });
  const context = { instanceUid: owner, resourceUid: randomUUID(), version: 1, additionalData: Buffer.alloc(0) };
  const { wrappedDek } = await store!.envelopes.generateDek({ scope, context });
  const unwrap = () => store!.envelopes.unwrapDek({ scope, context, wrappedDek });
  const generate = () => store!.envelopes.generateDek({ scope, context });
  return { rootKey, scope, unwrap, generate };
};
const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'OK',
    (error: unknown) => decodeRefusal(error as ServiceError).reason || 'no reason',
  );
/** The first answer that is not that the service cannot be reached or does not serve yet. */
const firstAnswer = async (call: () => Promise<unknown>): Promise<string> => {
  for (;;) {
    const reason = await reasonOf(call());
    if (reason !== 'AUDIT_UNAVAILABLE' && reason !== 'no reason') return reason;
    await sleep(5);
  }
};
/** One process only, whatever it needs. */
const launch = (service: 'keys' | 'audit'): AsyncDisposable => {
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), service, configFileOf(stack, service)], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
};
const NOT_SERVING = HealthCheckResponse_ServingStatus.NOT_SERVING;

describe('a keys database that was brought back', () => {
  it('has nothing that was destroyed since, from the first answer on, and all else', { timeout: 120_000 }, async () => {
    const [purged, kept, closed] = [await newKey(), await newKey(), await newKey()];
    await worker!.envelopes.destroyScope({ name: closed.scope });
    const backup = await take();
    await worker!.envelopes.destroyScope({ name: purged.scope });
    await worker!.keys.destroyRootKey({ name: closed.rootKey });
    await end(stack, 'keys', 'SIGTERM');
    await restore(backup);
    const [first] = await Promise.all([firstAnswer(purged.unwrap), restart(stack)]);
    expect(first).toBe('SCOPE_DESTROYED');
    expect((await operator!.envelopes.getScope({ name: purged.scope })).state).toBe(Scope_State.DESTROYED);
    expect((await operator!.keys.getRootKey({ name: closed.rootKey })).state).toBe(RootKey_State.DESTROYED);
    expect(await reasonOf(kept.unwrap())).toBe('OK');
    expect(logOf(stack, 'keys')).toContain('this database is a restored one');
    const left = await inDatabase(({ sql }) =>
      sql('select 1 from scope_versions where scope_uid = $1 and wrapped_key is not null', [purged.scope.slice(7)]),
    );
    expect(left).toEqual([]);
  });

  it('has no version of a scope’s key that was destroyed since, also where it was the only one', { timeout: 120_000 }, async () => {
    const [rotated, early] = [await newKey(), await newKey()];
    await store!.scopes.rotateScopeKey({ name: rotated.scope, expectedVersion: 1 });
    const backup = await take();
    await store!.scopes.rotateScopeKey({ name: early.scope, expectedVersion: 1 });
    for (const { scope: name } of [rotated, early]) await store!.scopes.destroyScopeKeyVersion({ name, version: 1 });
    await end(stack, 'keys', 'SIGTERM');
    await restore(backup);
    const [first] = await Promise.all([firstAnswer(rotated.unwrap), restart(stack)]);
    expect(first).toBe('SCOPE_KEY_VERSION_DESTROYED');
    expect((await operator!.envelopes.getScope({ name: rotated.scope })).livingVersions).toEqual([2]);
    expect(await reasonOf(rotated.generate())).toBe('OK');
    // The version that came after the backup is lost, and with it the scope until it gets another one.
    expect(await operator!.envelopes.getScope({ name: early.scope })).toMatchObject({ state: Scope_State.ENABLED, livingVersions: [] });
    expect(await reasonOf(early.unwrap())).toBe('SCOPE_KEY_VERSION_DESTROYED');
    expect(await reasonOf(early.generate())).toBe('SCOPE_KEY_VERSION_DESTROYED');
    await store!.scopes.rotateScopeKey({ name: early.scope, expectedVersion: 1 });
    expect(await reasonOf(early.generate())).toBe('OK');
  });

  it('has no grant that was taken back since, and no key enabled that was disabled or deleted', { timeout: 120_000 }, async () => {
    using customer = await newCustomer(stack, operator!);
    const keys = await Promise.all(Array.from({ length: 5 }, () => customer.newKey()));
    const [revoked, disabled, deleted, again, kept] = keys.map(({ name }) => name) as [string, string, string, string, string];
    const grants = await Promise.all(keys.map(({ name }) => grantUse(customer.manager, name)));
    const wraps = await Promise.all(keys.map(({ name }) => newWrap(store!, name)));
    const backup = await take();
    await customer.manager.keys.disableRootKey({ name: disabled });
    await customer.manager.keys.deleteRootKey({ name: deleted, force: true, reason: 'a test' });
    await customer.manager.keys.disableRootKey({ name: again });
    await customer.manager.keys.enableRootKey({ name: again });
    // Answered when all that came before is in the log too; the rest may be lost with the outbox of the database.
    await customer.manager.grants.deleteGrant({ name: grants[0]!.name, target: revoked });
    await end(stack, 'keys', 'SIGTERM');
    await restore(backup);
    await restart(stack);
    const reasons = await Promise.all(wraps.map((wrap) => reasonOf(store!.envelopes.unwrapDek(wrap))));
    expect(reasons).toEqual(['KEY_NOT_GRANTED', 'KEY_DISABLED', 'KEY_DISABLED', 'OK', 'OK']);
    expect((await operator!.keys.getRootKey({ name: kept })).state).toBe(RootKey_State.ENABLED);
  });

  it('is not served if the log has pruned what would have to be destroyed again', { timeout: 120_000 }, async () => {
    const purged = await newKey();
    const backup = await take();
    await worker!.envelopes.destroyScope({ name: purged.scope });
    await end(stack, 'keys', 'SIGTERM');
    await restore(backup);
    const inLog = (text: string) => withDatabase(stack, 'audit', (client) => client.query(text), 'superuser');
    await inLog('insert into ranges (start_index, end_index, prune_time) select -1, size - 1, now() from log_state');
    {
      await using _ = launch('keys');
      await vi.waitFor(async () => expect(await reasonOf(purged.unwrap())).toBe('AUDIT_UNAVAILABLE'), { timeout: 20_000 });
      expect(await operator!.health.keys.check({ service: '' })).toEqual({ status: NOT_SERVING });
      await inLog('delete from ranges where start_index = -1');
      expect(await firstAnswer(purged.unwrap)).toBe('SCOPE_DESTROYED');
    }
    await restart(stack);
  });

  it('serves nothing until the audit log is there to ask', { timeout: 120_000 }, async () => {
    const purged = await newKey();
    const backup = await take();
    await worker!.envelopes.destroyScope({ name: purged.scope });
    await end(stack, 'keys', 'SIGKILL');
    await end(stack, 'audit', 'SIGKILL');
    await restore(backup);
    await using keys = launch('keys');
    await vi.waitFor(async () => expect(await reasonOf(purged.unwrap())).toBe('AUDIT_UNAVAILABLE'), { timeout: 20_000 });
    expect((await operator!.health.keys.check({ service: '' })).status).toBe(NOT_SERVING);
    expect(await properRefusalOf(worker!.envelopes.destroyScope({ name: purged.scope }))).toMatchObject({ code: 'UNAVAILABLE' });
    await sleep(2_000);
    expect(await reasonOf(purged.unwrap())).toBe('AUDIT_UNAVAILABLE');
    await using audit = launch('audit');
    expect(await firstAnswer(purged.unwrap)).toBe('SCOPE_DESTROYED');
    await Promise.all([keys, audit].map((process) => process[Symbol.asyncDispose]()));
    await restart(stack);
  });

  it('under a running service is noticed within a second', { timeout: 120_000 }, async () => {
    const [purged, kept] = [await newKey(), await newKey()];
    const backup = await take();
    await worker!.envelopes.destroyScope({ name: purged.scope });
    expect(await reasonOf(purged.unwrap())).toBe('SCOPE_DESTROYED');
    await restore(backup);
    // As every other change of a key: within a second.
    for (const begun = performance.now(); performance.now() - begun < 1_000; await sleep(25)) await reasonOf(purged.unwrap());
    for (let i = 0; i < 10; i++)
      expect(await reasonOf(purged.unwrap())).toMatch(/^(SCOPE_DESTROYED|AUDIT_UNAVAILABLE|DATABASE_UNAVAILABLE)$/);
    expect(await firstAnswer(purged.unwrap)).toBe('SCOPE_DESTROYED');
    expect(await firstAnswer(kept.unwrap)).toBe('OK');
  });

  it('learns of master keys that were made since, so that they are destroyed in their turn', { timeout: 120_000 }, async () => {
    const kept = await newKey();
    const backup = await take();
    const before = (await operator!.keys.getMasterKeyStatus({})).current!.id;
    const after = (await operator!.keys.rotateMasterKey({ currentId: before })).current!.id;
    await end(stack, 'keys', 'SIGTERM');
    await restore(backup);
    await restart(stack);
    const status = await operator!.keys.getMasterKeyStatus({});
    expect(status.current?.id).toBe(before);
    expect(status.previous.map(({ id }) => id)).toContain(after);
    expect(status.unknownIds).toEqual([]);
    expect(await reasonOf(kept.unwrap())).toBe('OK');
  });
});

describe('what the audit log tells', () => {
  it('destroys nothing when it was refused, or when another service has told it', { timeout: 120_000 }, async () => {
    const kept = await newKey();
    const backup = await take();
    const attributes = new Map([['scope', kept.scope.slice(7)]]);
    const told = Event.fromPartial({
      eventId: randomUUID(),
      occurTime: new Date(),
      action: 'keys.scope.destroy',
      principal: spiffeIdOf('keys'),
      outcome: Event_Outcome.SUCCESS,
      attributes,
    });
    await store!.auditWriter.appendEvents({ events: [told] });
    await properRefusalOf(operator!.envelopes.destroyScope({ name: kept.scope }));
    const { entries } = await auditor!.auditLog.listEntries({ action: 'keys.scope.destroy', pageSize: 2 });
    expect(entries.map(({ event }) => event?.outcome)).toEqual([Event_Outcome.DENIED, Event_Outcome.SUCCESS]);
    await end(stack, 'keys', 'SIGTERM');
    await restore(backup);
    await restart(stack);
    expect(await reasonOf(kept.unwrap())).toBe('OK');
  });

  it('is read from where it was confirmed: a start goes on where the last one ended', { timeout: 120_000 }, async () => {
    const before = await confirmed();
    await newKey();
    await end(stack, 'keys', 'SIGTERM');
    await restart(stack);
    const after = await confirmed();
    expect(after).toBeGreaterThan(before);
    const asked = await auditor!.auditLog.listEntries({ action: 'audit.entry.list', principal: spiffeIdOf('keys'), minIndex: after });
    expect(asked.entries.length).toBeGreaterThan(0);
    expect(asked.entries.length).toBeLessThan(20);
  });
});
