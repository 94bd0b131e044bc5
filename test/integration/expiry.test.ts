// Expiry: at its time nobody reads it any more, and what opens it is erased; under a hold when that goes. Before its time it can be
// moved and cleared, by who may delete.
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Instance, RetentionPolicy } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { Secret, Secret_State, SecretVersion_State, type CreateSecretRequest } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import type { VersionExpiration } from '../../src/gen/strongroom/secrets/v1/secret_types.ts';
import { versionPurgeUid } from '../../src/store/sql/purges.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica } from '../support/replica.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import { reaches } from '../worker/purges.ts';

const stack = inject('stack');
const [operator, auditor, app] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor'), clientsOf(stack, 'app')];
const { secrets, access, rotations, holds } = operator;
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
  await bind(operator, tenant.instance, spiffeIdOf('app'), Role.WRITER);
});
afterAll(() => [operator, auditor, app].forEach((clients) => clients[Symbol.dispose]()));

const ttl = (seconds: number) => ({ $case: 'ttl' as const, value: { seconds: BigInt(seconds), nanos: 0 } });
const at = (time: Date) => ({ $case: 'expireTime' as const, value: time });
const after = (seconds: number): VersionExpiration => ({ at: ttl(seconds) });
const create = (given: Partial<Secret> = {}, request: Partial<CreateSecretRequest> = {}) =>
  secrets.createSecret({
    parent: tenant.group,
    secretId: newId('s'),
    secret: Secret.fromPartial(given),
    payload: text('v'),
    ...request,
    ...fresh(),
  });
const read = (name: string) => access.accessSecretVersion({ name: `${name}/versions/1` });
const update = (name: string, expiration: Secret['expiration'], by = operator) =>
  by.secrets.updateSecret({
    secret: Secret.fromPartial({ name, ...(expiration && { expiration }) }),
    updateMask: ['expire_time'],
    ...fresh(),
  });
const setVersion = (name: string, expiration?: VersionExpiration) =>
  rotations.setSecretVersionExpiration({ name: `${name}/versions/1`, ...(expiration && { expiration }), ...fresh() });
const expiredAt = (secret: Secret): Date => (secret.expiration?.$case === 'expireTime' ? secret.expiration.value : new Date(NaN));
const isPast = (time: Date) => vi.waitFor(() => expect(Date.now()).toBeGreaterThan(time.getTime() + 50), { timeout: 10_000, interval: 20 });
const storedOf = (uid: string) =>
  withDatabase(stack, 'store', async (client) => {
    const statement = 'select version, state, wrapped_dek, sealed from secret_versions where secret_uid = $1 order by version';
    return (await client.query<{ version: number; state: string; wrapped_dek: Buffer | null; sealed: Buffer | null }>(statement, [uid]))
      .rows;
  });
const expired = { code: 'FAILED_PRECONDITION', reason: 'RESOURCE_EXPIRED' };

describe('a secret that expires', () => {
  it('is read until then and never afterwards; nothing of it is left, and the log and a receipt tell so', async () => {
    const made = await create({ expiration: ttl(2) });
    const { name, uid } = made;
    expect(expiredAt(made).getTime()).toBeGreaterThan(Date.now() + 500);
    expect((await read(name)).payload).toEqual(text('v'));
    await isPast(expiredAt(made));
    expect((await properRefusalOf(read(name))).reason).toMatch(/^(RESOURCE_EXPIRED|NOT_FOUND)$/);

    const purge = await reaches(operator, uid, Purge_State.DONE);
    expect(purge.receipt).not.toBe('');
    expect(purge).toMatchObject({ secretsRemovedCount: 1n, versionsRemovedCount: 1n, deletedBy: spiffeIdOf('worker') });
    expect(await storedOf(uid)).toEqual([]);
    expect(await properRefusalOf(secrets.getSecret({ name }))).toMatchObject({ code: 'NOT_FOUND' });
    const again = secrets.createSecret({ parent: tenant.group, secretId: name.split('/').at(-1)!, ...fresh() });
    expect(await properRefusalOf(again)).toMatchObject({ reason: 'NAME_RETIRED' });
    const [entry] = await entriesOf(auditor, { resource: name, action: 'secrets.secret.expire' });
    expect(entry?.event).toMatchObject({ principal: spiffeIdOf('worker'), occurTime: expiredAt(made), instanceUid: tenant.instanceUid });
  });

  it('stays unreadable under a hold, cannot be brought back, and is erased when the hold goes', async () => {
    const made = await create({ expiration: ttl(1) });
    const { name, uid } = made;
    const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
    const { name: held } = await holds.createHold({ parent: name, holdId: 'case-7', hold, ...fresh() });
    await vi.waitFor(async () => expect((await secrets.getSecret({ name })).state).toBe(Secret_State.DELETED), { timeout: 10_000 });
    await vi.waitFor(async () => expect((await operator.purges.getPurge({ name: `purges/${uid}` })).lastError).toContain('held by'));
    expect(await properRefusalOf(read(name))).toMatchObject(expired);
    expect(await properRefusalOf(secrets.undeleteSecret({ name, ...fresh() }))).toMatchObject(expired);
    expect(await properRefusalOf(update(name, ttl(90_000)))).toMatchObject(expired);
    expect(await properRefusalOf(secrets.addSecretVersion({ parent: name, payload: text('w'), ...fresh() }))).toMatchObject(expired);
    expect((await storedOf(uid))[0]?.sealed).not.toBeNull();
    await holds.deleteHold({ name: held, ...fresh() });
    await reaches(operator, uid, Purge_State.DONE);
    expect(await storedOf(uid)).toEqual([]);
  });

  it('does so at another time if that is moved, or not at all if it is cleared, before it has passed', async () => {
    const [moved, cleared] = await Promise.all([create({ expiration: ttl(3) }), create({ expiration: ttl(3) })]);
    const later = new Date(Date.now() + 7_200_000);
    expect((await update(moved.name, at(later))).expiration).toEqual(at(later));
    expect((await update(cleared.name, undefined)).expiration).toBeUndefined();
    await isPast(expiredAt(moved));
    for (const { name } of [moved, cleared]) expect((await read(name)).payload).toEqual(text('v'));
    expect((await secrets.getSecret({ name: moved.name })).state).toBe(Secret_State.ACTIVE);
  });

  it('cannot be used to get around the retention, nor by who may not delete', async () => {
    const { name } = await create();
    expect(await properRefusalOf(update(name, ttl(3_599)))).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['secret.expire_time'] });
    expect(await properRefusalOf(update(name, ttl(7_200), app))).toMatchObject({ code: 'PERMISSION_DENIED' });
    const { expiration } = await update(name, ttl(7_200));
    // Who writes back what he has read changes nothing of it.
    const secret = Secret.fromPartial({ name, description: 'new', expiration: ttl(1) });
    expect((await app.secrets.updateSecret({ secret, ...fresh() })).expiration).toEqual(expiration);
    expect((await app.secrets.updateSecret({ secret, updateMask: ['*'], ...fresh() })).expiration).toEqual(expiration);
  });

  it('is purged at that time if it is deleted with a longer retention', async () => {
    const made = await create({ expiration: ttl(60) });
    const { purgeTime } = await secrets.deleteSecret({ name: made.name, ...fresh() });
    expect(purgeTime).toEqual(expiredAt(made));
    expect((await secrets.undeleteSecret({ name: made.name, ...fresh() })).expiration).toEqual(made.expiration);
    expect((await read(made.name)).payload).toEqual(text('v'));
  });

  it.each([0, -1, 36_500 * 86_400 + 1])('takes no span of %ds', async (seconds) => {
    expect(await properRefusalOf(create({ expiration: ttl(seconds) }))).toMatchObject({ fields: ['secret.ttl'] });
  });
});

describe('a version that expires', () => {
  it('is erased, key and ciphertext, and the others stay', async () => {
    const { name, uid } = await create();
    const added = await secrets.addSecretVersion({ parent: name, payload: text('w'), expiration: after(1), ...fresh() });
    await isPast(added.expireTime!);
    const gone = await properRefusalOf(access.accessSecretVersion({ name: `${name}/versions/latest` }));
    expect(gone).toMatchObject(expired);
    await reaches(operator, versionPurgeUid(uid, 2), Purge_State.DONE);
    expect(await storedOf(uid)).toMatchObject([
      { version: 1, state: 'ENABLED' },
      { version: 2, state: 'DESTROYED', wrapped_dek: null, sealed: null },
    ]);
    expect((await storedOf(uid))[0]?.wrapped_dek).not.toBeNull();
    expect((await read(name)).payload).toEqual(text('v'));
    expect(await secrets.getSecretVersion({ name: `${name}/versions/2` })).toMatchObject({ state: SecretVersion_State.DESTROYED });
    const [entry] = await entriesOf(auditor, { resource: `${name}/versions/2`, action: 'secrets.version.expire' });
    expect(entry?.event).toMatchObject({ principal: spiffeIdOf('worker'), occurTime: added.expireTime });
  });

  it('gets its time at the creation of the secret or afterwards, and keeps the retention of versions', async () => {
    const made = await create({}, { versionExpiration: after(60) });
    const { expireTime } = await secrets.getSecretVersion({ name: `${made.name}/versions/1` });
    expect(expireTime!.getTime()).toBeGreaterThan(Date.now() + 50_000);
    expect((await setVersion(made.name)).expireTime).toBeUndefined();
    expect((await setVersion(made.name, after(30))).expireTime).toBeDefined();

    const other = await newTenant(operator);
    const retentionPolicy = RetentionPolicy.fromPartial({ version: { seconds: 100n } });
    await operator.instances.updateInstance({ instance: Instance.fromPartial({ name: other.instance, retentionPolicy }), ...fresh() });
    const { name } = await secrets.createSecret({ parent: other.group, secretId: 's', payload: text('v'), ...fresh() });
    expect(await properRefusalOf(setVersion(name, after(99)))).toMatchObject({ fields: ['expiration'] });
    expect((await setVersion(name, after(101))).expireTime).toBeDefined();
  });

  it('is not enabled, restored or moved once it has expired', async () => {
    const { name, uid } = await create({}, { versionExpiration: after(1) });
    await holds.createHold({ parent: name, holdId: 'h', hold: Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'why' }), ...fresh() });
    const scheduled = () => storedOf(uid).then(([row]) => expect(row?.state).toBe('DESTROY_SCHEDULED'));
    await vi.waitFor(scheduled, { timeout: 10_000 });
    const version = { name: `${name}/versions/1`, ...fresh() };
    for (const call of [secrets.enableSecretVersion, secrets.restoreSecretVersion, rotations.setSecretVersionExpiration])
      expect(await properRefusalOf(call({ ...version, ...fresh() }))).toMatchObject(expired);
    expect(await properRefusalOf(setVersion(name, after(0)))).toMatchObject(expired);
  });
});

describe('a repeated request', () => {
  it('answers as it did, also when the time that it gave has passed', async () => {
    const { name } = await create();
    const time = new Date(Date.now() + 2_000);
    const add = { parent: name, payload: text('w'), expiration: { at: at(time) }, ...fresh() };
    const make = { parent: tenant.group, secretId: newId('s'), secret: Secret.fromPartial({ expiration: at(time) }), ...fresh() };
    const [added, made] = [await secrets.addSecretVersion(add), await secrets.createSecret(make)];
    await isPast(time);
    expect(await secrets.addSecretVersion(add)).toEqual(added);
    expect(await secrets.createSecret(make)).toEqual(made);
  });
});

describe('an update of the expiration', () => {
  it('is in the audit log with the new time', async () => {
    const { name } = await create({ expiration: ttl(60) });
    const time = new Date(Date.now() + 7_200_000);
    await update(name, at(time));
    await vi.waitFor(async () => {
      const [entry] = await entriesOf(auditor, { resource: name, action: 'secrets.secret.update' });
      expect(entry?.event?.attributes.get('expireTime')).toBe(time.toISOString());
    });
  });
});

describe.runIf(process.env['STRONGROOM_CRASH'] === 'all')('what expires with two workers, one of which is killed', () => {
  it('is erased, and recorded once', async () => {
    const all = await Promise.all(Array.from({ length: 60 }, (_, i) => create({ expiration: ttl(4 + (i % 3)) })));
    {
      await using replica = await startReplica(stack, 'worker');
      await isPast(expiredAt(all[1]!));
      await replica.kill('SIGKILL');
    }
    for (const { name, uid } of all) {
      await reaches(operator, uid, Purge_State.DONE);
      expect(await entriesOf(auditor, { resource: name, action: 'secrets.secret.expire' })).toHaveLength(1);
    }
  });
});

describe('what has expired while its job was lost', () => {
  it('is found by a sweep', async () => {
    const made = await create({ expiration: ttl(2) });
    await withDatabase(stack, 'store', (client) => client.query(`select graphile_worker.remove_job($1)`, [`expire:${made.uid}/0`]));
    await reaches(operator, made.uid, Purge_State.DONE);
  });
});
