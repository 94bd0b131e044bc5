// Locks on versions: what they keep, what they let happen, and how a secret is rotated under those who use it.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Instance, RetentionPolicy } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { CreateSecretLockRequest_Mode as Mode, SecretLock } from '../../src/gen/strongroom/secrets/v1/secret_lock_service.ts';
import { Secret, SecretVersion_State as State } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, refusalOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'auditor')];
let tenant: Tenant;
const withApp = async (): Promise<Tenant> => {
  const own = await newTenant(operator);
  await bind(operator, own.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  return own;
};
beforeAll(async () => {
  tenant = await withApp();
});
afterAll(() => [operator, app, auditor].forEach((clients) => clients[Symbol.dispose]()));

const { locks } = app;
const newSecret = async (count: number, parent = tenant.group): Promise<string> => {
  const { name } = await app.secrets.createSecret({ parent, secretId: newId('s'), payload: text('1'), ...fresh() });
  for (let i = 2; i <= count; i++) await add(name);
  return name;
};
const add = (parent: string) => app.secrets.addSecretVersion({ parent, payload: text('next'), ...fresh() });
const lock = (parent: string, lockId = 'app', more: object = {}, as = app) =>
  as.locks.createSecretLock({ parent, lockId, ...fresh(), ...more });
const guard = { lock: SecretLock.fromPartial({ rotationGuard: true }) };
const unlock = (name: string) => locks.deleteSecretLock({ name, ...fresh() });
const destroy = (name: string) => operator.secrets.destroySecretVersion({ name, ...fresh() });
const namesOf = async (parent: string) =>
  (await locks.listSecretLocks({ parent })).locks.map(({ name }) => name.slice(name.indexOf('/versions/') + 10));
const stateOf = async (name: string) => (await app.secrets.getSecretVersion({ name })).state;

describe('a lock', () => {
  it('is made on a version, also by alias, listed with what it says, and deleted', async () => {
    const name = await newSecret(3);
    const given = SecretLock.fromPartial({
      description: 'checkout in production',
      attributes: new Map([['pipeline', 'https://ci/1?a=b']]),
    });
    const made = await lock(`${name}/versions/previous`, 'checkout', { lock: given });
    expect(made).toEqual({
      ...given,
      name: `${name}/versions/2/locks/checkout`,
      createdBy: spiffeIdOf('app'),
      createTime: made.createTime,
    });
    await lock(`${name}/versions/3`, 'checkout');
    await lock(`${name}/versions/3`, 'billing');
    const page = await locks.listSecretLocks({ parent: name, pageSize: 2 });
    expect(page.locks[0]).toEqual(made);
    expect(page.locks[1]!.name).toBe(`${name}/versions/3/locks/billing`);
    const next = await locks.listSecretLocks({ parent: name, pageSize: 2, pageToken: page.nextPageToken });
    expect([next.locks.map((one) => one.name), next.nextPageToken]).toEqual([[`${name}/versions/3/locks/checkout`], '']);
    expect(await namesOf(`${name}/versions/latest`)).toEqual(['3/locks/billing', '3/locks/checkout']);
    await unlock(made.name);
    expect(await properRefusalOf(unlock(made.name))).toMatchObject({ code: 'NOT_FOUND', metadata: { resource: made.name } });
    expect(await namesOf(name)).toEqual(['3/locks/billing', '3/locks/checkout']);
  });

  it('keeps its version, and no other one, from being destroyed, and says which lock it is', async () => {
    const name = await newSecret(3);
    const { name: by } = await lock(`${name}/versions/2`);
    expect(await properRefusalOf(destroy(`${name}/versions/2`))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'LOCKED',
      metadata: { resource: `${name}/versions/2`, lock: by },
    });
    await destroy(`${name}/versions/1`);
    await unlock(by);
    expect((await destroy(`${name}/versions/2`)).state).toBe(State.DESTROYED);
  });

  it('keeps its secret, its group and its instance from being deleted, and not what is beside it', async () => {
    const own = await withApp();
    const [name, neighbour] = [await newSecret(1, own.group), await newSecret(1, own.group)];
    const other = await operator.groups.createSecretGroup({ parent: own.instance, secretGroupId: 'other', ...fresh() });
    const { name: by } = await lock(`${name}/versions/1`);
    const remove = {
      [name]: () => operator.secrets.deleteSecret({ name, ...fresh() }),
      [own.group]: () => operator.groups.deleteSecretGroup({ name: own.group, ...fresh() }),
      [own.instance]: () => operator.instances.deleteInstance({ name: own.instance, ...fresh() }),
    };
    for (const [resource, call] of Object.entries(remove))
      expect(await properRefusalOf(call()), resource).toMatchObject({ reason: 'LOCKED', metadata: { resource, lock: by } });
    await operator.secrets.deleteSecret({ name: neighbour, ...fresh() });
    await operator.groups.deleteSecretGroup({ name: other.name, ...fresh() });
    await unlock(by);
    for (const call of Object.values(remove)) await call();
  });

  it('keeps its version where versions can be restored too', async () => {
    const own = await withApp();
    const retentionPolicy = RetentionPolicy.fromPartial({ version: { seconds: 3_600n } });
    await operator.instances.updateInstance({ instance: Instance.fromPartial({ name: own.instance, retentionPolicy }), ...fresh() });
    const name = await newSecret(2, own.group);
    const { name: by } = await lock(`${name}/versions/1`);
    expect(await properRefusalOf(destroy(`${name}/versions/1`))).toMatchObject({ reason: 'LOCKED' });
    await unlock(by);
    expect((await destroy(`${name}/versions/1`)).state).toBe(State.DESTROY_SCHEDULED);
    expect(await properRefusalOf(lock(`${name}/versions/1`))).toMatchObject({ reason: 'VERSION_DESTROY_SCHEDULED' });
  });

  it('lets its version be read, disabled and enabled, and newer ones be added', async () => {
    const name = await newSecret(1);
    await lock(`${name}/versions/1`);
    await app.secrets.disableSecretVersion({ name: `${name}/versions/1`, ...fresh() });
    await app.secrets.enableSecretVersion({ name: `${name}/versions/1`, ...fresh() });
    expect((await app.access.accessSecretVersion({ name: `${name}/versions/1` })).payload).toEqual(text('1'));
    for (let i = 2; i <= 4; i++) expect((await add(name)).name).toBe(`${name}/versions/${i}`);
    expect(await namesOf(name)).toEqual(['1/locks/app']);
  });

  it('is refused twice, on what is destroyed or not there, and with bad fields', async () => {
    const name = await newSecret(2);
    await lock(`${name}/versions/2`);
    expect(await properRefusalOf(lock(`${name}/versions/2`))).toMatchObject({ code: 'ALREADY_EXISTS' });
    await destroy(`${name}/versions/1`);
    expect(await properRefusalOf(lock(`${name}/versions/1`))).toMatchObject({ reason: 'VERSION_DESTROYED' });
    expect(await properRefusalOf(lock(`${name}/versions/3`))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await properRefusalOf(lock(`${name}/versions/nobody`))).toMatchObject({ code: 'NOT_FOUND' });
    const bad = async (field: string, more: object) =>
      expect(await properRefusalOf(lock(`${name}/versions/2`, 'x', more)), field).toMatchObject({
        code: 'INVALID_ARGUMENT',
        fields: [field],
      });
    await bad('lock_id', { lockId: 'Not an ID' });
    await bad('lock_id', { lockId: 'a'.repeat(64) });
    await bad('parent', { parent: name });
    await bad('mode', { mode: 7 });
    const fields = (given: Parameters<typeof SecretLock.fromPartial>[0]) => ({ lock: SecretLock.fromPartial(given) });
    await bad('lock.description', fields({ description: 'x'.repeat(1_025) }));
    await bad('lock.attributes', fields({ attributes: new Map(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v'])) }));
    await bad('lock.attributes', fields({ attributes: new Map([['A', 'v']]) }));
    await bad('lock.attributes.k', fields({ attributes: new Map([['k', 'x'.repeat(1_025)]]) }));
    expect(await namesOf(name)).toEqual(['2/locks/app']);
  });

  it('is one of at most a thousand on all versions of a secret', async () => {
    const name = await newSecret(1);
    const { uid } = await app.secrets.getSecret({ name });
    await withDatabase(stack, 'store', (owner) =>
      owner.query(`insert into version_locks select $1, $2, 1, 'l' || i, '', '{}', false, 'x' from generate_series(1, 999) i`, [
        tenant.instanceUid,
        uid,
      ]),
    );
    await lock(`${name}/versions/1`);
    expect(await properRefusalOf(lock(`${name}/versions/1`, 'more'))).toMatchObject({
      reason: 'LIMIT_REACHED',
      metadata: { resource: name, limit: '1000' },
    });
    expect((await locks.listSecretLocks({ parent: name, pageSize: 1_000 })).locks).toHaveLength(1_000);
    expect(await locks.deleteSecretLocks({ parent: name, lockIdPattern: '*', ...fresh() })).toEqual({ deletedCount: 1_000 });
  });

  it('is deleted with others by a pattern, on all versions or on one', async () => {
    const name = await newSecret(2);
    for (const version of [1, 2]) for (const id of ['ci', 'ci-7', 'cd']) await lock(`${name}/versions/${version}`, id);
    const removed = async (parent: string, lockIdPattern: string) =>
      (await locks.deleteSecretLocks({ parent, lockIdPattern, ...fresh() })).deletedCount;
    expect(await removed(name, 'c')).toBe(0);
    expect(await removed(`${name}/versions/1`, 'ci*')).toBe(2);
    expect(await namesOf(name)).toEqual(['1/locks/cd', '2/locks/cd', '2/locks/ci', '2/locks/ci-7']);
    expect(await removed(name, 'cd')).toBe(2);
    for (const pattern of ['', '**', '*i', 'A*', 'c i', 'ci-'])
      expect(await properRefusalOf(removed(name, pattern)), pattern).toMatchObject({ fields: ['lock_id_pattern'] });
    expect(await removed(name, '*')).toBe(2);
  });
});

describe('a lock on what is past its time', () => {
  const ttl = (seconds: bigint) => ({ $case: 'ttl' as const, value: { seconds, nanos: 0 } });
  const expired = expect.stringMatching(/RESOURCE_EXPIRED|NOT_FOUND|VERSION_DESTROY/) as string;

  it('keeps it readable, a version or the secret, and lets it go when the lock goes', async () => {
    const secret = Secret.fromPartial({ expiration: ttl(3n) });
    const made = { parent: tenant.group, payload: text('1'), ...fresh() };
    const { name: whole } = await app.secrets.createSecret({ ...made, secretId: newId('s'), secret });
    const part = await newSecret(1);
    const { name: last } = await app.secrets.addSecretVersion({
      parent: part,
      payload: text('2'),
      expiration: { at: ttl(3n) },
      ...fresh(),
    });
    const locked = [await lock(`${whole}/versions/1`), await lock(last)];
    await sleep(5_500);
    expect((await app.access.accessSecretVersion({ name: `${whole}/versions/1` })).payload).toEqual(text('1'));
    expect((await app.access.accessSecretVersion({ name: last })).payload).toEqual(text('2'));
    for (const { name } of locked) await unlock(name);
    expect(await properRefusalOf(app.access.accessSecretVersion({ name: `${whole}/versions/1` }))).toMatchObject({ reason: expired });
    expect(await properRefusalOf(app.access.accessSecretVersion({ name: last }))).toMatchObject({ reason: expired });
    expect(await properRefusalOf(lock(last))).toMatchObject({ reason: expired });
    await expect.poll(() => stateOf(last), { timeout: 10_000 }).toBe(State.DESTROYED);
    await expect.poll(async () => (await refusalOf(stateOf(`${whole}/versions/1`))).code, { timeout: 10_000 }).toBe('NOT_FOUND');
  });
});

describe('a rotation guard', () => {
  it('lets the newest version be left behind once, and then refuses a new one until its user has moved on', async () => {
    const name = await newSecret(1);
    const { name: by } = await lock(`${name}/versions/latest`, 'app', guard);
    expect((await add(name)).name).toBe(`${name}/versions/2`);
    const refused = { code: 'FAILED_PRECONDITION', reason: 'LOCKED', metadata: { resource: name, lock: by } };
    expect(await properRefusalOf(add(name))).toMatchObject(refused);
    expect(await properRefusalOf(app.secrets.rollbackSecret({ name, version: 1, ...fresh() }))).toMatchObject(refused);
    expect((await app.secrets.getSecret({ name })).latestVersion).toBe(2);
    await lock(`${name}/versions/latest`, 'app', { ...guard, mode: Mode.REMOVE_OLDER });
    expect(await namesOf(name)).toEqual(['2/locks/app']);
    expect((await add(name)).name).toBe(`${name}/versions/3`);
  });

  it('lets a write be answered that makes no version', async () => {
    const name = await newSecret(2);
    await lock(`${name}/versions/1`, 'app', guard);
    const same = { parent: name, payload: text('next'), onlyIfChanged: true };
    expect((await app.secrets.addSecretVersion({ ...same, ...fresh() })).name).toBe(`${name}/versions/2`);
    expect(await properRefusalOf(app.secrets.addSecretVersion({ ...same, payload: text('other'), ...fresh() }))).toMatchObject({
      reason: 'LOCKED',
    });
  });
});

describe('a lock that moves on', () => {
  it('comes off older versions and leaves those of others, and what is free is destroyed if that is asked for', async () => {
    const name = await newSecret(4);
    for (const version of [1, 2, 3]) await lock(`${name}/versions/${version}`);
    await lock(`${name}/versions/2`, 'other');
    const request = { mode: Mode.REMOVE_OLDER_AND_DESTROY };
    expect(await properRefusalOf(lock(`${name}/versions/4`, 'app', request))).toMatchObject({ code: 'PERMISSION_DENIED' });
    await lock(`${name}/versions/4`, 'app', request, operator);
    expect(await namesOf(name)).toEqual(['2/locks/other', '4/locks/app']);
    const states = await Promise.all([1, 2, 3, 4].map((version) => stateOf(`${name}/versions/${version}`)));
    expect(states).toEqual([State.DESTROYED, State.ENABLED, State.DESTROYED, State.ENABLED]);
    await expect
      .poll(async () =>
        (await entriesOf(auditor, { action: 'secrets.version.destroy', principal: spiffeIdOf('operator') })).map(
          ({ event }) => event!.resource,
        ),
      )
      .toEqual(expect.arrayContaining([`${name}/versions/1`, `${name}/versions/3`]));
  });

  it('changes nothing if a hold keeps what would be destroyed', async () => {
    const name = await newSecret(2);
    await lock(`${name}/versions/1`);
    const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
    await operator.holds.createHold({ parent: name, holdId: 'case-7', hold, ...fresh() });
    expect(await properRefusalOf(lock(`${name}/versions/2`, 'app', { mode: Mode.REMOVE_OLDER_AND_DESTROY }, operator))).toMatchObject({
      reason: 'RESOURCE_HELD',
    });
    expect([await namesOf(name), await stateOf(`${name}/versions/1`)]).toEqual([['1/locks/app'], State.ENABLED]);
  });
});

describe('a lock and a destruction at the same time', () => {
  it('never both succeed', async () => {
    for (let round = 0; round < 6; round++) {
      const name = await newSecret(2);
      const race =
        round % 2 === 0
          ? [() => lock(`${name}/versions/1`), () => destroy(`${name}/versions/1`)]
          : [() => destroy(`${name}/versions/1`), () => lock(`${name}/versions/1`)];
      const results = await Promise.allSettled(race.map((call) => call()));
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const isDestroyed = (await stateOf(`${name}/versions/1`)) === State.DESTROYED;
      expect(await namesOf(name)).toEqual(isDestroyed ? [] : ['1/locks/app']);
    }
  });
});
