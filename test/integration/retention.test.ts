// How long what is deleted stays recoverable: level by level, within bounds, under purge protection; and versions, which
// have a life cycle of their own.
import { afterAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance, RetentionPolicy } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { SecretVersion_State, type SecretVersion } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, reaches, rowsOf } from '../worker/purges.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const auditor = clientsOf(stack, 'auditor');
afterAll(() => [operator, auditor].forEach((clients) => clients[Symbol.dispose]()));

const { instances, groups, secrets, purges } = operator;
const { DONE } = Purge_State;
const seconds = (count: number) => ({ seconds: BigInt(count), nanos: 0 });
type Levels = Partial<Record<'instance' | 'group' | 'secret' | 'version', number>>;
const policyOf = (levels: Levels) =>
  RetentionPolicy.fromPartial(Object.fromEntries(Object.entries(levels).map(([level, count]) => [level, seconds(count)])));

const update = (name: string, changes: Partial<Instance>, updateMask?: string[]) =>
  instances.updateInstance({ instance: Instance.fromPartial({ name, ...changes }), ...(updateMask ? { updateMask } : {}), ...fresh() });
const setLevels = (name: string, levels: Levels) => update(name, { retentionPolicy: policyOf(levels) });
const newSecret = (tenant: Tenant, secretId = newId('s'), value = 'value') =>
  secrets.createSecret({ parent: tenant.group, secretId, payload: text(value), ...fresh() });
const retentionOf = (deleted: { deleteTime?: Date | undefined; purgeTime?: Date | undefined }) =>
  (deleted.purgeTime!.getTime() - deleted.deleteTime!.getTime()) / 1_000;
const bindReader = (tenant: Tenant) => bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
const read = async (name: string) => (await operator.access.accessSecretVersion({ name })).payload;

describe('retention', () => {
  it('is the instance’s for every level, but for the levels that have one of their own', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1_000 });
    const secret = await newSecret(tenant);
    const remove = async () => {
      const times = [await secrets.deleteSecret({ name: secret.name, ...fresh() })].map(retentionOf);
      times.push(retentionOf(await groups.deleteSecretGroup({ name: tenant.group, ...fresh() })));
      times.push(retentionOf(await instances.deleteInstance({ name: tenant.instance, ...fresh() })));
      await instances.undeleteInstance({ name: tenant.instance, ...fresh() });
      await groups.undeleteSecretGroup({ name: tenant.group, ...fresh() });
      await secrets.undeleteSecret({ name: secret.name, ...fresh() });
      return times;
    };
    expect(await remove()).toEqual([1_000, 1_000, 1_000]);
    const changed = await setLevels(tenant.instance, { instance: 3_000, secret: 100 });
    expect(changed).toMatchObject({ retention: seconds(1_000), retentionPolicy: policyOf({ instance: 3_000, secret: 100 }) });
    expect(await remove()).toEqual([100, 1_000, 3_000]);
    await update(tenant.instance, { retention: seconds(2_000) });
    expect(await remove()).toEqual([100, 2_000, 3_000]);
    await update(tenant.instance, {}, ['retention_policy']);
    expect(await remove()).toEqual([2_000, 2_000, 2_000]);
  });

  it('can be given when the instance is made', async () => {
    const retentionPolicy = policyOf({ group: 77, version: 5 });
    const made = await instances.createInstance({
      instanceId: newId('t'),
      instance: Instance.fromPartial({ retentionPolicy }),
      ...fresh(),
    });
    expect(made.retentionPolicy).toEqual(retentionPolicy);
    expect(made.purgeProtection).toBe(false);
  });

  it.each<[string, Partial<Instance>]>([
    ['instance.retention', { retention: seconds(0) }],
    ['instance.retention', { retention: seconds(90 * 86_400 + 1) }],
    ['instance.retention_policy.instance', { retentionPolicy: policyOf({ instance: 0 }) }],
    ['instance.retention_policy.group', { retentionPolicy: policyOf({ group: 90 * 86_400 + 1 }) }],
    ['instance.retention_policy.secret', { retentionPolicy: policyOf({ secret: -1 }) }],
    ['instance.retention_policy.version', { retentionPolicy: policyOf({ version: 90 * 86_400 + 1 }) }],
  ])('of %s stays within the bounds of the configuration', async (field, changes) => {
    const tenant = await newTenant(operator);
    expect(await properRefusalOf(update(tenant.instance, changes))).toMatchObject({ code: 'INVALID_ARGUMENT', fields: [field] });
    const made = instances.createInstance({ instanceId: newId('t'), instance: Instance.fromPartial(changes), ...fresh() });
    expect(await properRefusalOf(made)).toMatchObject({ code: 'INVALID_ARGUMENT', fields: [field] });
  });
});

describe('what was deleted before its parent', () => {
  it('keeps its own clock: the parent comes back with what was visible, and the other is purged when it is due', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
    await bindReader(tenant);
    await setLevels(tenant.instance, { secret: 3 });
    const [early, kept] = [await newSecret(tenant, 'early'), await newSecret(tenant, 'kept', 'kept')];
    const { purgeTime } = await secrets.deleteSecret({ name: early.name, ...fresh() });
    await groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    await instances.deleteInstance({ name: tenant.instance, ...fresh() });
    await instances.undeleteInstance({ name: tenant.instance, ...fresh() });
    await groups.undeleteSecretGroup({ name: tenant.group, ...fresh() });

    expect(await read(`${kept.name}/versions/1`)).toEqual(text('kept'));
    expect((await secrets.getSecret({ name: early.name })).purgeTime).toEqual(purgeTime);
    const purge = await reaches(operator, early.uid, DONE);
    expect(purge.startTime!.getTime()).toBeGreaterThanOrEqual(purgeTime!.getTime());
    expect(await read(`${kept.name}/versions/1`)).toEqual(text('kept'));
  });

  it('falls due also while its parent is deleted', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
    await setLevels(tenant.instance, { secret: 1 });
    const early = await newSecret(tenant, 'early');
    await secrets.deleteSecret({ name: early.name, ...fresh() });
    await instances.deleteInstance({ name: tenant.instance, ...fresh() });
    await reaches(operator, early.uid, DONE);
    await instances.undeleteInstance({ name: tenant.instance, ...fresh() });
    expect(await properRefusalOf(secrets.getSecret({ name: early.name }))).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('purge protection', () => {
  it('once set stays, and lets retentions grow only', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1_000 });
    await setLevels(tenant.instance, { group: 2_000 });
    expect((await update(tenant.instance, { purgeProtection: true })).purgeProtection).toBe(true);
    const refused: [Partial<Instance>, string[]][] = [
      [{ purgeProtection: false }, ['purge_protection']],
      [{}, ['*']],
      [{ retention: seconds(999) }, ['retention']],
      [{ retentionPolicy: policyOf({ group: 1_999 }) }, ['retention_policy']],
      // Without its own, the groups' would be the instance's.
      [{ retentionPolicy: policyOf({ secret: 5_000 }) }, ['retention_policy']],
    ];
    for (const [changes, mask] of refused)
      expect(await properRefusalOf(update(tenant.instance, changes, mask)), mask.join()).toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'PURGE_PROTECTED',
      });
    const grown = await update(tenant.instance, { retention: seconds(1_500), retentionPolicy: policyOf({ group: 2_000, version: 60 }) });
    expect(grown).toMatchObject({ retention: seconds(1_500), purgeProtection: true });
    expect(await properRefusalOf(setLevels(tenant.instance, { group: 2_000 }))).toMatchObject({ reason: 'PURGE_PROTECTED' });
    await update(tenant.instance, { displayName: 'still changeable' }, ['display_name']);
  });

  it('does not keep the purge from coming when it is due', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1 });
    await update(tenant.instance, { purgeProtection: true });
    await groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    await reaches(operator, tenant.groupUid, DONE);
  });
});

describe('a version that is destroyed', () => {
  const newVersioned = async (version: number, secret = 3_600): Promise<{ tenant: Tenant; first: string; second: SecretVersion }> => {
    const tenant = await newTenant(operator, { retentionSeconds: secret });
    await bindReader(tenant);
    await setLevels(tenant.instance, { version });
    const { name } = await newSecret(tenant, 's', 'one');
    const second = await secrets.addSecretVersion({ parent: name, payload: text('two'), ...fresh() });
    return { tenant, first: `${name}/versions/1`, second };
  };
  const purgeOf = async (resource: string) => (await purges.listPurges({ pageSize: 200 })).purges.find((one) => one.resource === resource)!;
  const storedOf = (tenant: Tenant) =>
    withDatabase(stack, 'store', async (client) => {
      const statement =
        'select state, sealed is null and wrapped_dek is null as erased from secret_versions where instance_uid = $1 order by version';
      return (await client.query<{ state: string; erased: boolean }>(statement, [tenant.instanceUid])).rows;
    });

  it('is unreadable at once, can be restored as DISABLED, and then reads as before', async () => {
    const { first, second } = await newVersioned(3_600);
    const scheduled = await secrets.destroySecretVersion({ name: first, ...fresh() });
    expect(scheduled).toMatchObject({ state: SecretVersion_State.DESTROY_SCHEDULED, destroyTime: undefined });
    expect(scheduled.purgeTime!.getTime()).toBeGreaterThan(Date.now() + 3_500_000);
    const refusals = await Promise.all(
      [
        read(first),
        secrets.enableSecretVersion({ name: first, ...fresh() }),
        secrets.disableSecretVersion({ name: first, ...fresh() }),
      ].map((refused) => properRefusalOf(refused)),
    );
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'VERSION_DESTROY_SCHEDULED' });
    expect(await read(second.name)).toEqual(text('two'));
    expect(await secrets.destroySecretVersion({ name: first, ...fresh() })).toEqual(scheduled);
    const purge = await purgeOf(first);
    expect(purge).toMatchObject({ state: Purge_State.SCHEDULED, purgeTime: scheduled.purgeTime, deletedBy: spiffeIdOf('operator') });

    const restored = await secrets.restoreSecretVersion({ name: first, ...fresh() });
    expect(restored).toMatchObject({ state: SecretVersion_State.DISABLED, purgeTime: undefined });
    expect(await properRefusalOf(purges.getPurge({ name: purge.name }))).toMatchObject({ code: 'NOT_FOUND' });
    await secrets.enableSecretVersion({ name: first, ...fresh() });
    expect(await read(first)).toEqual(text('one'));
    expect(await properRefusalOf(secrets.restoreSecretVersion({ name: first, ...fresh() }))).toMatchObject({ reason: 'NOT_DELETED' });
    expect(await properRefusalOf(secrets.restoreSecretVersion({ name: first.replace('/1', '/latest'), ...fresh() }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('is erased when it is due, with an entry and a receipt; its metadata and its neighbours stay', async () => {
    const { tenant, first, second } = await newVersioned(1);
    await secrets.destroySecretVersion({ name: first, ...fresh() });
    const { name } = await purgeOf(first);
    const purge = await reaches(operator, name.split('/')[1]!, DONE);
    expect(countsOf(purge)).toEqual([0n, 0n, 0n, 0n]);
    expect(purge.receipt).toContain('c2sp.org/tlog-proof@v1');
    expect(await storedOf(tenant)).toEqual([
      { state: 'DESTROYED', erased: true },
      { state: 'ENABLED', erased: false },
    ]);
    expect(await secrets.getSecretVersion({ name: first })).toMatchObject({ state: SecretVersion_State.DESTROYED, sizeBytes: 3 });
    expect(await read(second.name)).toEqual(text('two'));
    expect(await properRefusalOf(secrets.restoreSecretVersion({ name: first, ...fresh() }))).toMatchObject({ reason: 'VERSION_DESTROYED' });
    const actions = (await entriesOf(auditor, { resource: first })).map(({ event }) => event?.action);
    expect(actions).toEqual(expect.arrayContaining(['secrets.version.destroy', 'secrets.version.purge.start', 'secrets.version.purge']));
  });

  it('goes with its secret when that is purged first, and both end', async () => {
    const { tenant, first } = await newVersioned(3_600, 1);
    await secrets.destroySecretVersion({ name: first, ...fresh() });
    const { name } = await purgeOf(first);
    const secret = await secrets.deleteSecret({ name: first.replace('/versions/1', ''), ...fresh() });
    expect(countsOf(await reaches(operator, secret.uid, DONE))).toEqual([0n, 2n, 1n, 0n]);
    expect(countsOf(await reaches(operator, name.split('/')[1]!, DONE))).toEqual([0n, 0n, 0n, 0n]);
    expect(await rowsOf(stack, tenant.instanceUid)).toEqual([1, 1, 0, 0]);
  });

  it('keeps its own clock when its secret is deleted and comes back', async () => {
    const { first } = await newVersioned(2);
    const { purgeTime } = await secrets.destroySecretVersion({ name: first, ...fresh() });
    const { name } = await purgeOf(first);
    const secret = first.replace('/versions/1', '');
    await secrets.deleteSecret({ name: secret, ...fresh() });
    await secrets.undeleteSecret({ name: secret, ...fresh() });
    expect(await secrets.getSecretVersion({ name: first })).toMatchObject({ state: SecretVersion_State.DESTROY_SCHEDULED, purgeTime });
    await reaches(operator, name.split('/')[1]!, DONE);
    expect(await read(`${secret}/versions/2`)).toEqual(text('two'));
  });
});
