// Rotation: values that the store generates by itself, on time, once each whoever else writes or dies, and on request.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { Secret, type CreateSecretRequest } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { Generator, Rotation, SecretType, type UserCredentials } from '../../src/gen/strongroom/secrets/v1/secret_types.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica } from '../support/replica.ts';
import { withDatabase } from '../support/stack.ts';
import { reaches } from '../worker/purges.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
const { secrets, access, rotations } = operator;
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
});
afterAll(() => [operator, auditor].forEach((clients) => clients[Symbol.dispose]()));

const bytes = Generator.fromPartial({ value: { $case: 'data', value: {} } });
const credentials = (username = '') => Generator.fromPartial({ value: { $case: 'userCredentials', value: { username } } });
const every = (seconds: number, generator = bytes) => Rotation.fromPartial({ interval: { seconds: BigInt(seconds) }, generator });
const create = (given: Partial<Secret>, request: Partial<CreateSecretRequest> = {}) =>
  secrets.createSecret({ parent: tenant.group, secretId: newId('s'), secret: Secret.fromPartial(given), ...request, ...fresh() });
const rotating = (seconds = 1) => create({ rotation: every(seconds) }, { generate: bytes });
const get = (name: string) => secrets.getSecret({ name });
const read = async (name: string, version: number) =>
  (await access.accessSecretVersion({ name: `${name}/versions/${version}` })).payload?.value;
const setRotation = (name: string, rotation?: Rotation) =>
  secrets.updateSecret({ secret: Secret.fromPartial({ name, ...(rotation && { rotation }) }), updateMask: ['rotation'], ...fresh() });
const reachesVersion = (name: string, version: number) =>
  vi.waitFor(async () => expect((await get(name)).latestVersion).toBeGreaterThanOrEqual(version), { timeout: 20_000, interval: 100 });
const entriesFor = async (name: string, count: number, outcome: Event_Outcome) =>
  vi.waitFor(async () => {
    const found = await entriesOf(auditor, { action: 'secrets.secret.rotate.scheduled', outcome });
    const own = found.map(({ event }) => event!).filter(({ resource }) => resource === name || resource.startsWith(`${name}/`));
    expect(own).toHaveLength(count);
    return own;
  }, 5_000);
/** As if it had become due, or the replica that is at it had died. */
const makeDue = (uid: string) =>
  withDatabase(stack, 'store', (client) => client.query('update secrets set rotation_look_time = now() where secret_uid = $1', [uid]));

describe('an automatic rotation', () => {
  it('makes a new value at each interval, keeps the old ones, and is in the log', async () => {
    const { name } = await create(
      { type: SecretType.USER_CREDENTIALS, rotation: every(1, credentials()) },
      { generate: credentials('app') },
    );
    await reachesVersion(name, 3);
    await setRotation(name);
    const { latestVersion, rotation } = await get(name);
    expect(rotation).toBeUndefined();
    const versions = Array.from({ length: latestVersion }, (_, i) => i + 1);
    const all = (await Promise.all(versions.map((version) => read(name, version)))).map((value) => value?.value as UserCredentials);
    expect(new Set(all.map(({ password }) => password)).size).toBe(latestVersion);
    expect(new Set(all.map(({ username }) => username))).toEqual(new Set(['app']));
    const told = await entriesFor(name, latestVersion - 1, Event_Outcome.SUCCESS);
    expect(new Set(told.map(({ attributes }) => attributes.get('version')))).toEqual(new Set(versions.slice(1).map(String)));
    expect(told[0]?.principal).toBe(spiffeIdOf('store'));
  });

  it('tells when it was and when it will be, and is not due sooner than nine tenths of its interval', async () => {
    const { name, rotation } = await rotating(1_000);
    const wait = rotation!.nextRotationTime!.getTime() - Date.now();
    expect(wait).toBeGreaterThan(890_000);
    expect(wait).toBeLessThanOrEqual(1_000_500);
    expect(rotation).toMatchObject({ lastRotationTime: undefined, failureCount: 0, lastError: '', retryTime: undefined });
    await rotations.rotateSecret({ name, ...fresh() });
    const { rotation: later } = await get(name);
    expect(later!.lastRotationTime!.getTime()).toBeGreaterThan(Date.now() - 10_000);
    expect(later!.nextRotationTime!.getTime()).toBeGreaterThanOrEqual(Date.now() + 890_000);
  });

  it('leaves alone what is deleted, and what has its newest version disabled or destroyed', async () => {
    const [deleted, disabled, destroyed, live] = await Promise.all([rotating(), rotating(1_000), rotating(1_000), rotating()]);
    await secrets.deleteSecret({ name: deleted.name, ...fresh() });
    await secrets.disableSecretVersion({ name: `${disabled.name}/versions/1`, ...fresh() });
    await secrets.destroySecretVersion({ name: `${destroyed.name}/versions/1`, ...fresh() });
    for (const { name } of [disabled, destroyed]) await setRotation(name, every(1));
    const [before] = [await Promise.all([deleted, disabled, destroyed].map(async ({ name }) => (await get(name)).latestVersion))];
    await reachesVersion(live.name, (await get(live.name)).latestVersion + 3);
    await setRotation(live.name);
    expect(await Promise.all([deleted, disabled, destroyed].map(async ({ name }) => (await get(name)).latestVersion))).toEqual(before);
    expect((await get(disabled.name)).rotation).toMatchObject({ failureCount: 0, lastError: '' });
  });

  it('that fails says why and when it is tried again, and is well after that', async () => {
    const { name, uid } = await create({ type: SecretType.USER_CREDENTIALS, rotation: every(1, credentials()) });
    const failed = await vi.waitFor(
      async () => {
        const { rotation } = await get(name);
        expect(rotation?.failureCount).toBe(1);
        return rotation!;
      },
      { timeout: 20_000, interval: 100 },
    );
    expect(failed.lastError).toContain('there is no version yet');
    expect(failed.retryTime!.getTime()).toBeGreaterThan(Date.now() + 40_000);
    expect(await entriesFor(name, 1, Event_Outcome.FAILURE)).toMatchObject([{ reason: 'INVALID_FIELD', code: 3 }]);

    await secrets.addSecretVersion({ parent: name, generate: credentials('app'), ...fresh() });
    await makeDue(uid);
    await reachesVersion(name, 2);
    expect((await setRotation(name, every(1_000, credentials()))).rotation).toMatchObject({
      failureCount: 0,
      lastError: '',
      retryTime: undefined,
    });
  });

  it('loses no version of a writer, makes none twice with two replicas, and goes on when one of them is killed', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => rotating()));
    const written = new Map<string, number>();
    let writing = true;
    const write = async ({ name }: Secret): Promise<void> => {
      for (let i = 0; writing; i++) {
        const value = `${name} ${i}`;
        const added = await secrets.addSecretVersion({ parent: name, payload: text(value), ...fresh() });
        written.set(value, Number(added.name.split('/').at(-1)));
        await sleep(100);
      }
    };
    const writers = all.map(write);
    {
      await using replica = await startReplica(stack, 'store');
      await sleep(3_000);
      await replica.kill('SIGKILL');
    }
    await Promise.all(all.map(({ uid }) => makeDue(uid)));
    const before = await Promise.all(all.map(async ({ name }) => (await get(name)).latestVersion));
    await sleep(2_500);
    writing = false;
    await Promise.all(writers);
    await Promise.all(all.map(({ name }) => setRotation(name)));

    for (const [i, { name }] of all.entries()) {
      const { latestVersion } = await get(name);
      expect(latestVersion).toBeGreaterThan(before[i]!);
      const { secretVersions } = await secrets.listSecretVersions({ parent: name, pageSize: 1_000 });
      expect(secretVersions).toHaveLength(latestVersion);
      const own = [...written].filter(([value]) => value.startsWith(`${name} `));
      for (const [value, version] of own.slice(-3)) expect(await read(name, version)).toEqual({ $case: 'text', value });
      // What nobody wrote was generated, and each of these was recorded once.
      const told = await entriesFor(name, latestVersion - 1 - own.length, Event_Outcome.SUCCESS);
      expect(new Set(told.map(({ attributes }) => attributes.get('version'))).size).toBe(told.length);
      expect(told.length).toBeGreaterThan(0);
    }
  });
});

describe('secrets that rotate', () => {
  it('are purged with their group, however often they are due', async () => {
    const own = await newTenant(operator, { retentionSeconds: 1 });
    const make = (_: unknown, i: number) =>
      secrets.createSecret({
        parent: own.group,
        secretId: `s-${i}`,
        secret: Secret.fromPartial({ rotation: every(1) }),
        generate: bytes,
        ...fresh(),
      });
    await Promise.all(Array.from({ length: 40 }, make));
    await sleep(1_500);
    await operator.groups.deleteSecretGroup({ name: own.group, ...fresh() });
    expect(await reaches(operator, own.groupUid, Purge_State.DONE)).toMatchObject({ secretsRemovedCount: 40n, groupsRemovedCount: 1n });
  });
});

describe('a rotation on request', () => {
  it('makes the next value, and does not answer with it', async () => {
    const { name, etag } = await create({ rotation: Rotation.fromPartial({ generator: bytes }) }, { payload: text('by hand') });
    const version = await rotations.rotateSecret({ name, etag, ...fresh() });
    expect(version).toMatchObject({ name: `${name}/versions/2`, sizeBytes: 32 });
    expect((await read(name, 2))?.$case).toBe('data');
    expect((await get(name)).rotation?.nextRotationTime).toBeUndefined();
    expect(await properRefusalOf(rotations.rotateSecret({ name, etag, ...fresh() }))).toMatchObject({ reason: 'ETAG_MISMATCH' });
  });

  it('is refused where nobody has said how', async () => {
    const { name } = await create({}, { payload: text('v') });
    expect(await properRefusalOf(rotations.rotateSecret({ name, ...fresh() }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'ROTATION_NOT_CONFIGURED',
    });
    await secrets.deleteSecret({ name, ...fresh() });
    expect(await properRefusalOf(rotations.rotateSecret({ name, ...fresh() }))).toMatchObject({ reason: 'RESOURCE_DELETED' });
  });

  it('of one value by twenty callers at once makes twenty versions, or one if they name the same state', async () => {
    const { name } = await create({ rotation: Rotation.fromPartial({ generator: bytes }) });
    const { etag } = await get(name);
    const racers = await Promise.allSettled(Array.from({ length: 20 }, () => rotations.rotateSecret({ name, etag, ...fresh() })));
    expect(racers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect((await get(name)).latestVersion).toBe(1);
  });
});

describe('a rotation policy', () => {
  it.each<[string, Partial<Secret>]>([
    ['secret.rotation.generator', { rotation: Rotation.fromPartial({ interval: { seconds: 10n } }) }],
    ['secret.rotation.interval', { rotation: every(0) }],
    ['secret.rotation.interval', { rotation: every(3_650 * 86_400 + 1) }],
    ['secret.rotation.generator', { rotation: every(10, credentials()) }],
    ['secret.rotation.generator', { type: SecretType.CERTIFICATE, rotation: every(10) }],
    ['secret.rotation.generator.user_credentials.username', { type: SecretType.USER_CREDENTIALS, rotation: every(10, credentials('app')) }],
  ])('is refused at %s', async (field, given) => {
    expect(await properRefusalOf(create(given))).toMatchObject({ code: 'INVALID_ARGUMENT', fields: [field] });
  });
});
