// What callers of a running stack see of master keys, of many scopes at once, and of the audit log's filters for actions.
import { randomUUID } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Scope_State } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { fresh, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
const [store, worker] = [clientsOf(stack, 'store'), clientsOf(stack, 'worker')];
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
});
afterAll(() => [operator, auditor, store, worker].forEach((clients) => clients[Symbol.dispose]()));

const status = () => operator.keys.getMasterKeyStatus({});
const DAY_MS = 86_400_000;

describe('the status of the master keys', () => {
  it('says which is the current one, and when it will be replaced', async () => {
    const { current, nextRotationTime, unknownIds } = await status();
    expect(current?.id).toMatch(/^[0-9a-f]{16}$/);
    expect(nextRotationTime!.getTime() - current!.createTime!.getTime()).toBe(30 * DAY_MS);
    expect(unknownIds).toEqual([]);
    const folder = join(stack.state, 'master-keys');
    expect(readdirSync(folder)).toContain(`${current!.id}.key`);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });
});

describe('a rotation that the operator asks for', () => {
  it('makes another one the current one, and renews the root keys under it', async () => {
    const before = (await status()).current!.id;
    const secret = await operator.secrets.createSecret({ parent: tenant.group, secretId: 'kept', payload: text('value'), ...fresh() });
    const id = randomUUID();
    const rotated = await operator.keys.rotateMasterKey({ currentId: before }, { metadata: { 'x-correlation-id': id } });
    expect(rotated.current?.id).not.toBe(before);
    expect(rotated.previous.map((key) => key.id)).toContain(before);
    // What other tests have damaged holds its own key up; ours is renewed all the same.
    await vi.waitFor(async () => expect((await operator.keys.getRootKey({ name: tenant.rootKey })).primaryVersion).toBeGreaterThan(1), {
      timeout: 30_000,
      interval: 100,
    });
    expect((await operator.secrets.addSecretVersion({ parent: secret.name, payload: text('next'), ...fresh() })).name).toBe(
      `${secret.name}/versions/2`,
    );

    const [entry] = await entriesOfCall(auditor, id);
    expect(entry?.event).toMatchObject({ action: 'keys.masterkey.rotate', principal: spiffeIdOf('operator') });
    expect(entry?.event?.attributes).toEqual(
      new Map([
        ['masterKey', rotated.current!.id],
        ['previous', before],
      ]),
    );
    // Asked for again, it is done.
    const again = await operator.keys.rotateMasterKey({ currentId: before });
    expect(again.current?.id).toBe(rotated.current?.id);
  });

  it.each([
    ['of a key that there is not', 'f'.repeat(16), { code: 'NOT_FOUND', reason: 'NOT_FOUND' }],
    ['of something else', 'current', { code: 'INVALID_ARGUMENT', reason: 'MALFORMED_NAME' }],
    ['of none', '', { code: 'INVALID_ARGUMENT', reason: 'MALFORMED_NAME' }],
  ])('%s is refused, and changes nothing', async (_, currentId, expected) => {
    const before = await status();
    expect(await properRefusalOf(operator.keys.rotateMasterKey({ currentId }))).toMatchObject(expected);
    expect((await status()).current).toMatchObject({ id: before.current!.id });
  });
});

describe('many scopes at once', () => {
  const newScope = async () =>
    (await store.envelopes.createScope({ scopeUid: randomUUID(), rootKey: tenant.rootKey, instanceUid: tenant.instanceUid })).name;

  it('are answered in order, each with its own outcome, and are one entry in the audit log', async () => {
    const [alive, gone] = [await newScope(), await newScope()];
    await worker.envelopes.destroyScope({ name: gone });
    const names = [gone, `scopes/${randomUUID()}`, alive, 'scopes/x', alive, ''];
    const id = randomUUID();
    const { results } = await worker.envelopes.batchGetScopes({ names }, { metadata: { 'x-correlation-id': id } });
    expect(results.map(({ outcome }) => (outcome?.$case === 'scope' ? outcome.value.state : outcome?.value.reason))).toEqual([
      Scope_State.DESTROYED,
      'NOT_FOUND',
      Scope_State.ENABLED,
      'MALFORMED_NAME',
      Scope_State.ENABLED,
      'MALFORMED_NAME',
    ]);
    const entries = await entriesOfCall(auditor, id);
    expect(entries.map(({ event }) => [event?.action, event?.attributes.get('count')])).toEqual([['keys.scope.read', '6']]);
  });

  it('are a thousand at the most, and one at the least', async () => {
    const names = Array.from({ length: 1_000 }, () => `scopes/${randomUUID()}`);
    expect((await store.envelopes.batchGetScopes({ names })).results).toHaveLength(1_000);
    for (const bad of [[], [...names, names[0]!]])
      expect(await properRefusalOf(store.envelopes.batchGetScopes({ names: bad }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        fields: ['names'],
      });
  });
});

describe('entries of the audit log', () => {
  it('are found by their action, from an index on', async () => {
    const doomed = async () => {
      const { name } = await store.envelopes.createScope({
        scopeUid: randomUUID(),
        rootKey: tenant.rootKey,
        instanceUid: tenant.instanceUid,
      });
      const id = randomUUID();
      await worker.envelopes.destroyScope({ name }, { metadata: { 'x-correlation-id': id } });
      return (await entriesOfCall(auditor, id))[0]!;
    };
    const [first, second] = [await doomed(), await doomed()];
    // It was answered when it was in the log.
    expect(second.index).toBeGreaterThan(first.index);
    const list = async (minIndex: bigint, principal = '') =>
      (await auditor.auditLog.listEntries({ action: 'keys.scope.destroy', minIndex, principal, pageSize: 1_000 })).entries.map(
        ({ index }) => index,
      );
    expect(await list(first.index)).toEqual(expect.arrayContaining([second.index, first.index]));
    expect(await list(first.index + 1n)).toContain(second.index);
    expect(await list(first.index + 1n)).not.toContain(first.index);
    expect(await list(second.index, spiffeIdOf('worker'))).toContain(second.index);
    expect(await list(second.index, spiffeIdOf('app'))).toEqual([]);
    expect((await auditor.auditLog.listEntries({ action: 'keys.scope', pageSize: 1 })).entries).toEqual([]);
  });

  it('are not found by what no action or index can be', async () => {
    expect(await properRefusalOf(auditor.auditLog.listEntries({ action: 'a'.repeat(65) }))).toMatchObject({ fields: ['action'] });
    expect(await properRefusalOf(auditor.auditLog.listEntries({ minIndex: -1n }))).toMatchObject({ fields: ['min_index'] });
    const { nextPageToken: pageToken } = await auditor.auditLog.listEntries({ minIndex: 1n, pageSize: 1 });
    for (const other of [{ minIndex: 2n }, { minIndex: 1n, action: 'keys.scope.destroy' }])
      expect(await properRefusalOf(auditor.auditLog.listEntries({ ...other, pageSize: 1, pageToken }))).toMatchObject({
        reason: 'INVALID_PAGE_TOKEN',
      });
  });
});
