// The key of a group is replaced while the group is used: nobody notices, every data key moves, the old key is destroyed, and
// what an old backup of the store has of the group opens no more.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { SecretGroupKeyRotation_State as State } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { fillWithCopies, rotate, rotationOf, wrapsOf } from '../support/rekeys.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, store, auditor] = [
  clientsOf(stack, 'operator'),
  clientsOf(stack, 'app'),
  clientsOf(stack, 'store'),
  clientsOf(stack, 'auditor'),
];
afterAll(() => [operator, app, store, auditor].forEach((clients) => clients[Symbol.dispose]()));

const newGroup = async (): Promise<Tenant> => {
  const tenant = await newTenant(operator);
  await bind(operator, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  return tenant;
};
const write = (parent: string, value = 'a value') =>
  app.secrets.createSecret({ parent, secretId: newId('s'), payload: text(value), ...fresh() });
const read = async (secret: string, version: number | 'latest' = 1) =>
  (await app.access.accessSecretVersion({ name: `${secret}/versions/${version}` })).payload;
const inStore = <Row extends object>(statement: string, values: unknown[]): Promise<Row[]> =>
  withDatabase(stack, 'store', async (owner) => (await owner.query<Row & Record<string, unknown>>(statement, values)).rows);
const versionsOf = async ({ groupUid }: Tenant) => (await store.envelopes.getScope({ name: `scopes/${groupUid}` })).livingVersions;

describe('the rotation of a group’s key', () => {
  it('moves every data key and destroys the old key, while no read and no write fails', { timeout: 90_000 }, async () => {
    const tenant = await newGroup();
    const secrets = await Promise.all(Array.from({ length: 40 }, (_, i) => write(tenant.group, `value ${i}`)));
    let busy = true;
    const failures: unknown[] = [];
    let [reads, writes] = [0, 0];
    const keepReading = async (): Promise<void> => {
      for (let i = 0; busy; i++, reads++) {
        const at = i % secrets.length;
        const payload = await read(secrets[at]!.name).catch((error: unknown) => void failures.push(error));
        if (payload && payload.value?.value !== `value ${at}`) failures.push('another value');
      }
    };
    const keepWriting = async (): Promise<void> => {
      for (; busy; writes++) {
        const made = await write(tenant.group, 'new').catch((error: unknown) => void failures.push(error));
        if (made)
          await app.secrets
            .addSecretVersion({ parent: made.name, payload: text('newer'), ...fresh() })
            .catch((error: unknown) => failures.push(error));
      }
    };
    const users = [keepReading(), keepReading(), keepReading(), keepWriting(), keepWriting()];
    const rotations = [await rotate(operator, tenant.group), await rotate(operator, tenant.group)];
    busy = false;
    await Promise.all(users);
    expect(failures).toEqual([]);
    expect(Math.min(reads, writes)).toBeGreaterThan(20);
    expect(rotations.map(({ keyVersion }) => keyVersion)).toEqual([2, 3]);
    expect(await versionsOf(tenant)).toEqual([3]);
    expect(Object.keys(await wrapsOf(stack, tenant.groupUid))).toEqual(['2/3']);
    for (const [i, { name }] of secrets.entries()) expect((await read(name))?.value?.value).toBe(`value ${i}`);
    expect((await operator.groups.getSecretGroup({ name: tenant.group })).keyVersion).toBe(3);
  });

  it('shows how far it is, to its end, and says who asked for it', async () => {
    const tenant = await newGroup();
    for (let i = 0; i < 5; i++) await write(tenant.group);
    const begun = await operator.groups.rotateSecretGroupKey({ name: tenant.group, ...fresh() });
    expect(begun).toMatchObject({ secretGroup: tenant.group, state: State.ROTATING, startedBy: spiffeIdOf('operator'), lastError: '' });
    const seen: State[] = [];
    for await (const { state } of operator.watchGroupRotation({ name: tenant.group }, { timeoutMs: 30_000 })) seen.push(state);
    expect(seen.at(-1)).toBe(State.DONE);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    const done = await rotationOf(operator, tenant.group);
    expect(done).toMatchObject({ keyVersion: 2, totalCount: 5n, doneCount: 5n, lastError: '' });
    expect(done.endTime!.getTime()).toBeGreaterThan(done.startTime!.getTime());
  });

  it('leaves nothing that an old backup of the store could be opened with', async () => {
    const tenant = await newGroup();
    const [purged, kept] = [await write(tenant.group, 'gone'), await write(tenant.group, 'kept')];
    const select = 'select * from secret_versions where secret_uid = any($1) order by version';
    const backup = await inStore<{ secret_uid: string; wrapped_dek: Buffer }>(select, [[purged.uid, kept.uid]]);
    await operator.secrets.destroySecretVersion({ name: `${purged.name}/versions/1`, ...fresh() });
    await rotate(operator, tenant.group);
    const scope = `scopes/${tenant.groupUid}`;
    for (const { secret_uid: resourceUid, wrapped_dek: wrappedDek } of backup) {
      const context = { instanceUid: tenant.instanceUid, resourceUid, version: 1, additionalData: Buffer.alloc(0) };
      expect(await properRefusalOf(store.envelopes.unwrapDek({ scope, context, wrappedDek }))).toMatchObject({
        reason: 'SCOPE_KEY_VERSION_DESTROYED',
      });
    }
    expect((await read(kept.name))?.value?.value).toBe('kept');
    // Put back past the service, the row itself says so to its reader.
    const back = backup.find((row) => row.secret_uid === kept.uid)!;
    await inStore('update secret_versions set wrapped_dek = $2 where secret_uid = $1', [kept.uid, back.wrapped_dek]);
    expect(await properRefusalOf(read(kept.name))).toMatchObject({ reason: 'SCOPE_KEY_VERSION_DESTROYED' });
  });

  it('moves more than one batch, also of versions that are disabled or about to be destroyed and of deleted secrets', async () => {
    const tenant = await newGroup();
    const secrets = await Promise.all(Array.from({ length: 30 }, () => write(tenant.group)));
    for (let i = 0; i < 20; i++)
      await Promise.all(secrets.map(({ name: parent }) => app.secrets.addSecretVersion({ parent, payload: text(`v${i}`), ...fresh() })));
    await app.secrets.disableSecretVersion({ name: `${secrets[0]!.name}/versions/1`, ...fresh() });
    await operator.secrets.deleteSecret({ name: secrets[1]!.name, ...fresh() });
    await operator.secrets.destroySecretVersion({ name: `${secrets[2]!.name}/versions/1`, ...fresh() });
    expect(await rotate(operator, tenant.group)).toMatchObject({ totalCount: 630n, doneCount: 630n });
    expect(await wrapsOf(stack, tenant.groupUid)).toEqual({ '2/2': 629 });
    await app.secrets.enableSecretVersion({ name: `${secrets[0]!.name}/versions/1`, ...fresh() });
    await operator.secrets.undeleteSecret({ name: secrets[1]!.name, ...fresh() });
    for (const secret of secrets.slice(0, 2)) expect((await read(secret.name))?.value?.value).toBe('a value');
  });

  it('does not destroy the old key while something does not open with it, and names it', async () => {
    const tenant = await newGroup();
    const [damaged, whole] = [await write(tenant.group), await write(tenant.group, 'whole')];
    await fillWithCopies(stack, damaged.uid, 1);
    await operator.groups.rotateSecretGroupKey({ name: tenant.group, ...fresh() });
    const stuck = await rotationOf(operator, tenant.group, ({ lastError }) => lastError !== '');
    expect(stuck.lastError).toContain(`${tenant.group}/secrets/copy-1/versions/1 does not open`);
    expect(stuck.state).toBe(State.REWRAPPING);
    await sleep(500);
    expect(await versionsOf(tenant)).toEqual([1, 2]);
    expect((await read(whole.name))?.value?.value).toBe('whole');
    await operator.secrets.destroySecretVersion({ name: `${tenant.group}/secrets/copy-1/versions/1`, ...fresh() });
    await inStore('update rekeys set due_time = now() where group_uid = $1', [tenant.groupUid]);
    await rotationOf(operator, tenant.group);
    expect(await versionsOf(tenant)).toEqual([2]);
  });

  it('is told in the audit log from its begin to its end, with what the key service has done for it', async () => {
    const tenant = await newGroup();
    await write(tenant.group);
    const correlationId = randomUUID();
    await operator.groups.rotateSecretGroupKey({ name: tenant.group, ...fresh() }, { metadata: { 'x-correlation-id': correlationId } });
    await rotationOf(operator, tenant.group);
    await sleep(300);
    const told = (await entriesOfCall(auditor, correlationId)).map(({ source, event }) => [source.split('/').at(-1), event?.action]);
    // The begin is told through an outbox, beside the first look at the key, and before anything is destroyed.
    const actions = told.map(([, action]) => action);
    expect(actions.indexOf('secrets.group.rekey.start')).toBeLessThan(actions.indexOf('keys.scope.version.destroy'));
    expect(told.filter(([, action]) => action !== 'secrets.group.rekey.start')).toEqual([
      ['keys', 'keys.scope.read'],
      ['keys', 'keys.scope.rotate'],
      ['keys', 'keys.dek.rewrap'],
      ['keys', 'keys.scope.read'],
      ['keys', 'keys.scope.version.destroy'],
      ['store', 'secrets.group.rekey'],
    ]);
  });
});

describe('a rotation that is asked for', () => {
  it('twice with the same request id is one, and beside one that is under way is refused', async () => {
    const tenant = await newGroup();
    const request = { name: tenant.group, ...fresh() };
    const one = await operator.groups.rotateSecretGroupKey(request);
    expect(await operator.groups.rotateSecretGroupKey(request)).toEqual(one);
    expect(await properRefusalOf(operator.groups.rotateSecretGroupKey({ name: tenant.group, ...fresh() }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'ROTATION_UNDER_WAY',
    });
    expect((await rotationOf(operator, tenant.group)).keyVersion).toBe(2);
  });

  it.each([
    ['a name of another shape', 'instances/a', 'MALFORMED_NAME'],
    ['no name', '', 'MALFORMED_NAME'],
  ])('with %s is refused, and so is a look at it', async (_, name, reason) => {
    for (const call of [
      operator.groups.rotateSecretGroupKey({ name, ...fresh() }),
      operator.groups.getSecretGroupKeyRotation({ name }),
      operator.watchGroupRotation({ name }).next(),
    ])
      expect(await properRefusalOf(call)).toMatchObject({ code: 'INVALID_ARGUMENT', reason });
  });

  it('of a group that is not there, or never had one, is not found', async () => {
    const tenant = await newGroup();
    const absent = `${tenant.instance}/groups/absent`;
    expect((await properRefusalOf(operator.groups.rotateSecretGroupKey({ name: absent, ...fresh() }))).reason).toBe('NOT_FOUND');
    for (const name of [absent, tenant.group]) {
      expect((await properRefusalOf(operator.groups.getSecretGroupKeyRotation({ name }))).reason).toBe('NOT_FOUND');
      expect((await properRefusalOf(operator.watchGroupRotation({ name }).next())).reason).toBe('NOT_FOUND');
    }
  });

  it('of a deleted group is refused', async () => {
    const tenant = await newGroup();
    await operator.groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    expect((await properRefusalOf(operator.groups.rotateSecretGroupKey({ name: tenant.group, ...fresh() }))).reason).toBe(
      'RESOURCE_DELETED',
    );
  });
});
