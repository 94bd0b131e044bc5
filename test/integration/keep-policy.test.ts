// How many versions are kept: what is trimmed by count and by age, what never is, who may say so, and what the log tells of it.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Instance, RetentionPolicy } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { KeepPolicy } from '../../src/gen/strongroom/secrets/v1/keep_policy.ts';
import { SecretGroup } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { Secret, SecretVersion_State as State } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, refusalOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'auditor')];
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
});
afterAll(() => [operator, app, auditor].forEach((clients) => clients[Symbol.dispose]()));

const { secrets } = operator;
const seconds = (value: number) => ({ seconds: BigInt(value), nanos: 0 });
const keep = (maxVersions: number, minAge = 0) => KeepPolicy.fromPartial({ maxVersions, minAge: seconds(minAge) });
const add = (parent: string) => secrets.addSecretVersion({ parent, payload: text('next'), ...fresh() });
const newSecret = async (count: number, keepPolicy?: KeepPolicy, parent = tenant.group): Promise<string> => {
  const secret = Secret.fromPartial(keepPolicy ? { keepPolicy } : {});
  const { name } = await secrets.createSecret({ parent, secretId: newId('s'), secret, payload: text('1'), ...fresh() });
  for (let i = 2; i <= count; i++) await add(name);
  return name;
};
const setPolicy = (name: string, keepPolicy: KeepPolicy | undefined, as = operator) =>
  as.secrets.updateSecret({ secret: Secret.fromPartial({ name, keepPolicy }), updateMask: ['keep_policy'], ...fresh() });
/** For tests beside one another, where `expect.poll` is not to be had. */
const until = (met: () => Promise<void>) => vi.waitFor(met, { timeout: 15_000, interval: 100 });
/** States of all versions, the first one first. */
const statesOf = async (parent: string): Promise<State[]> =>
  (await secrets.listSecretVersions({ parent, pageSize: 1_000 })).secretVersions.map(({ state }) => state).toReversed();
/** Numbers of those that are enabled, when these are or after some seconds. */
const keeps = (parent: string, ...versions: number[]) =>
  until(async () => {
    const states = await statesOf(parent);
    expect(states.flatMap((state, i) => (state === State.ENABLED ? [i + 1] : []))).toEqual(versions);
  });
/** Since when its versions are old ones. */
const age = async (name: string, bySeconds: number): Promise<void> => {
  const { uid } = await secrets.getSecret({ name });
  await withDatabase(stack, 'store', async (owner) => {
    await owner.query('update secret_versions set create_time = create_time - make_interval(secs => $2) where secret_uid = $1', [
      uid,
      bySeconds,
    ]);
  });
};

describe.concurrent('a secret that keeps so many versions', () => {
  it('has no more, soon after each new one, and the log tells of each that went, and why', async () => {
    const name = await newSecret(1, keep(3));
    for (let i = 2; i <= 6; i++) await add(name);
    await keeps(name, 4, 5, 6);
    expect(await statesOf(name)).toEqual([State.DESTROYED, State.DESTROYED, State.DESTROYED, State.ENABLED, State.ENABLED, State.ENABLED]);
    await until(async () => {
      const entries = await entriesOf(auditor, { action: 'secrets.version.trim', principal: spiffeIdOf('store') });
      const told = entries.map(({ event }) => event!).filter(({ resource }) => resource.startsWith(name));
      expect(told.map(({ resource, attributes }) => [resource, Object.fromEntries(attributes)])).toEqual(
        [1, 2, 3].map((version) => [`${name}/versions/${version}`, { version: String(version), cause: 'count' }]),
      );
    });
  });

  it('keeps those with an alias or a lock, until they lose it', async () => {
    const name = await newSecret(4);
    await operator.aliases.setVersionAlias({ name, alias: 'stable', version: 1, ...fresh() });
    const { name: lock } = await operator.locks.createSecretLock({ parent: `${name}/versions/2`, lockId: 'app', ...fresh() });
    await setPolicy(name, keep(1));
    await keeps(name, 1, 2, 4);
    await operator.aliases.setVersionAlias({ name, alias: 'stable', version: 4, ...fresh() });
    await keeps(name, 2, 4);
    await operator.locks.deleteSecretLock({ name: lock, ...fresh() });
    await keeps(name, 4);
  });

  it('keeps those that became old just now, whatever their number, until they reach the least age', async () => {
    const name = await newSecret(4, keep(1, 3_600));
    await age(name, 7_200);
    await add(name);
    // The fourth is two hours old, and has been an old one only since the fifth was added.
    await keeps(name, 4, 5);
    await age(name, 3_600);
    await setPolicy(name, keep(1, 3_600));
    await keeps(name, 5);
  });

  it('counts those that are disabled, and not those that are destroyed', async () => {
    const name = await newSecret(5);
    await secrets.destroySecretVersion({ name: `${name}/versions/4`, ...fresh() });
    await secrets.disableSecretVersion({ name: `${name}/versions/3`, ...fresh() });
    await setPolicy(name, keep(2));
    await keeps(name, 5);
    expect((await statesOf(name))[2]).toBe(State.DISABLED);
  });

  it('never loses its newest one, even disabled', async () => {
    const name = await newSecret(2);
    await secrets.disableSecretVersion({ name: `${name}/versions/2`, ...fresh() });
    await setPolicy(name, keep(1));
    await keeps(name);
    expect(await statesOf(name)).toEqual([State.DESTROYED, State.DISABLED]);
  });

  it('of hundreds has the few that it keeps, without holding up who writes', async () => {
    const name = await newSecret(1);
    const { uid } = await secrets.getSecret({ name });
    await withDatabase(stack, 'store', async (owner) => {
      await owner.query(
        `insert into secret_versions (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed)
          select instance_uid, secret_uid, n, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed
          from secret_versions, generate_series(2, 300) n where secret_uid = $1`,
        [uid],
      );
      await owner.query('update secrets set latest_version = 300 where secret_uid = $1', [uid]);
    });
    await setPolicy(name, keep(2));
    for (let i = 301; i <= 305; i++) expect((await add(name)).name).toBe(`${name}/versions/${i}`);
    await keeps(name, 304, 305);
  });
});

describe.concurrent('a secret that keeps versions for so long', () => {
  it('has none that is older, counted from when it became old, without anybody doing anything', async () => {
    const name = await newSecret(2, KeepPolicy.fromPartial({ maxAge: seconds(2), minAge: seconds(0) }));
    await add(name);
    expect((await statesOf(name))[1]).toBe(State.ENABLED);
    await keeps(name, 3);
    await until(async () => {
      const entries = await entriesOf(auditor, { resource: `${name}/versions/2` });
      expect(entries.map(({ event }) => event!.attributes.get('cause'))).toContain('age');
    });
  });
});

describe.concurrent('a group', () => {
  it('says how many are kept of its secrets that say nothing, from their next version on', async () => {
    const { name: parent } = await operator.groups.createSecretGroup({
      parent: tenant.instance,
      secretGroupId: newId('g'),
      secretGroup: SecretGroup.fromPartial({ keepPolicy: keep(2) }),
      ...fresh(),
    });
    const [usual, own] = [await newSecret(4, undefined, parent), await newSecret(4, KeepPolicy.create(), parent)];
    await keeps(usual, 3, 4);
    const secretGroup = SecretGroup.fromPartial({ name: parent, keepPolicy: keep(1) });
    const changed = await operator.groups.updateSecretGroup({ secretGroup, updateMask: ['keep_policy'], ...fresh() });
    expect(changed.keepPolicy).toEqual(keep(1));
    await add(usual);
    await keeps(usual, 5);
    await keeps(own, 1, 2, 3, 4);
    await setPolicy(own, undefined);
    await keeps(own, 4);
  });
});

describe.concurrent('trimming', () => {
  it('destroys as its instance wants versions destroyed: they can be restored until then', async () => {
    const own = await newTenant(operator);
    const retentionPolicy = RetentionPolicy.fromPartial({ version: seconds(3_600) });
    await operator.instances.updateInstance({ instance: Instance.fromPartial({ name: own.instance, retentionPolicy }), ...fresh() });
    const name = await newSecret(3, keep(2), own.group);
    await keeps(name, 2, 3);
    expect((await statesOf(name))[0]).toBe(State.DESTROY_SCHEDULED);
    expect((await secrets.restoreSecretVersion({ name: `${name}/versions/1`, ...fresh() })).state).toBe(State.DISABLED);
  });

  it('leaves alone what is held', async () => {
    const name = await newSecret(2);
    const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
    await operator.holds.createHold({ parent: name, holdId: 'case-7', hold, ...fresh() });
    await setPolicy(name, keep(1));
    await sleep(1_500);
    await keeps(name, 1, 2);
    await operator.holds.deleteHold({ name: `${name}/holds/case-7`, ...fresh() });
    await setPolicy(name, keep(1));
    await keeps(name, 2);
  });

  it('and a lock on what is being trimmed: one of them wins', async () => {
    const race = async (afterMs: number): Promise<void> => {
      const name = await newSecret(2, keep(1));
      await sleep(afterMs);
      const locked = await operator.locks.createSecretLock({ parent: `${name}/versions/1`, lockId: 'app', ...fresh() }).then(
        () => true,
        async (error: unknown) => {
          expect(await refusalOf(Promise.reject(error))).toMatchObject({ reason: 'VERSION_DESTROYED' });
          return false;
        },
      );
      await add(name);
      await keeps(name, ...(locked ? [1, 3] : [3]));
    };
    await Promise.all(Array.from({ length: 12 }, (_, i) => race(i * 100)));
  });

  it('is asked for by a Manager, because it destroys', async () => {
    const name = await newSecret(1);
    const secret = Secret.fromPartial({ name, keepPolicy: keep(1) });
    const denied = { code: 'PERMISSION_DENIED' };
    expect(await properRefusalOf(setPolicy(name, keep(1), app))).toMatchObject(denied);
    expect((await app.secrets.updateSecret({ secret, ...fresh() })).keepPolicy).toBeUndefined();
    const made = { parent: tenant.group, secretId: newId('s'), secret };
    expect(await properRefusalOf(app.secrets.createSecret({ ...made, ...fresh() }))).toMatchObject(denied);
    const described = Secret.fromPartial({ name, description: 'new' });
    expect((await app.secrets.updateSecret({ secret: described, ...fresh() })).description).toBe('new');
  });

  it('is refused with bad limits', async () => {
    const name = await newSecret(1);
    const bad = KeepPolicy.fromPartial({ maxVersions: 10_001 });
    expect(await properRefusalOf(setPolicy(name, bad))).toMatchObject({ fields: ['secret.keep_policy.max_versions'] });
    const secretGroup = SecretGroup.fromPartial({ name: tenant.group, keepPolicy: { maxAge: seconds(5), minAge: seconds(6) } });
    expect(await properRefusalOf(operator.groups.updateSecretGroup({ secretGroup, ...fresh() }))).toMatchObject({
      fields: ['secret_group.keep_policy.min_age'],
    });
  });
});
