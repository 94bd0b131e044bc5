// What a resource goes through, from its making to its return from the dead: instances, groups, secrets and versions.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance, Instance_State } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { SecretGroup, SecretGroup_State } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { Secret, Secret_State, SecretPayload_Kind, SecretVersion_State } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, data, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app')];
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
});
afterAll(() => [operator, app].forEach((clients) => clients[Symbol.dispose]()));

const newSecret = (parent: string, value = 'v') =>
  app.secrets.createSecret({ parent, secretId: newId('s'), payload: text(value), ...fresh() });
const read = async (name: string) => (await app.access.accessSecretVersion({ name })).payload;
const idOf = (name: string): string => name.split('/').at(-1)!;

describe('an instance', () => {
  it('is made, found, listed, changed, deleted and brought back, its uid the same throughout', async () => {
    const { instance: name } = await newTenant(operator);
    const made = await operator.instances.getInstance({ name });
    expect(made).toMatchObject({ name, state: Instance_State.ACTIVE, retention: { seconds: 3_600n }, deleteTime: undefined });

    const labels = new Map([['team', 'payments']]);
    const changed = await operator.instances.updateInstance({
      instance: Instance.fromPartial({ name, displayName: 'Acme', labels, retention: { seconds: 7_200n }, etag: made.etag }),
      updateMask: ['display_name', 'labels'],
      ...fresh(),
    });
    expect(changed).toMatchObject({
      uid: made.uid,
      displayName: 'Acme',
      labels,
      retention: { seconds: 3_600n },
      createTime: made.createTime,
    });
    expect(changed.etag).not.toBe(made.etag);
    expect(changed.updateTime!.getTime()).toBeGreaterThan(made.updateTime!.getTime());

    const cleared = await operator.instances.updateInstance({
      instance: Instance.fromPartial({ name }),
      updateMask: ['labels'],
      ...fresh(),
    });
    expect([cleared.displayName, cleared.labels.size]).toEqual(['Acme', 0]);

    const deleted = await operator.instances.deleteInstance({ name, ...fresh() });
    expect(deleted).toMatchObject({ uid: made.uid, state: Instance_State.DELETED });
    expect(deleted.purgeTime!.getTime() - deleted.deleteTime!.getTime()).toBe(3_600_000);
    expect(await operator.instances.getInstance({ name })).toEqual(deleted);

    const back = await operator.instances.undeleteInstance({ name, etag: deleted.etag, ...fresh() });
    expect(back).toMatchObject({
      uid: made.uid,
      state: Instance_State.ACTIVE,
      deleteTime: undefined,
      purgeTime: undefined,
      displayName: 'Acme',
    });
  });

  it('cannot be made twice, deleted twice, or brought back while it is there', async () => {
    const { instance: name } = await newTenant(operator);
    const instanceId = idOf(name);
    expect(await properRefusalOf(operator.instances.createInstance({ instanceId, ...fresh() }))).toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'ALREADY_EXISTS',
    });
    expect(await properRefusalOf(operator.instances.undeleteInstance({ name, ...fresh() }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'NOT_DELETED',
    });
    await operator.instances.deleteInstance({ name, ...fresh() });
    expect(await properRefusalOf(operator.instances.deleteInstance({ name, ...fresh() }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'RESOURCE_DELETED',
    });
    // A deleted one still has its name.
    expect(await properRefusalOf(operator.instances.createInstance({ instanceId, ...fresh() }))).toMatchObject({
      reason: 'ALREADY_EXISTS',
    });
  });
});

describe('a group', () => {
  it('is made, changed, deleted and brought back, and the purge that was due is called off', async () => {
    const made = await operator.groups.createSecretGroup({
      parent: tenant.instance,
      secretGroupId: newId('g'),
      secretGroup: SecretGroup.fromPartial({ displayName: 'Payments', labels: new Map([['a', 'b']]) }),
      ...fresh(),
    });
    const { name } = made;
    const changed = await operator.groups.updateSecretGroup({
      secretGroup: SecretGroup.fromPartial({ name, displayName: 'New' }),
      ...fresh(),
    });
    expect(changed).toMatchObject({ uid: made.uid, displayName: 'New', labels: made.labels });
    const deleted = await operator.groups.deleteSecretGroup({ name, ...fresh() });
    expect(deleted.state).toBe(SecretGroup_State.DELETED);
    expect(await operator.purges.getPurge({ name: `purges/${made.uid}` })).toMatchObject({
      state: Purge_State.SCHEDULED,
      resource: name,
      deletedBy: spiffeIdOf('operator'),
    });
    await operator.groups.undeleteSecretGroup({ name, ...fresh() });
    expect(await properRefusalOf(operator.purges.getPurge({ name: `purges/${made.uid}` }))).toMatchObject({
      code: 'NOT_FOUND',
      reason: 'NOT_FOUND',
    });
    await newSecret(name);
  });
});

describe('a secret', () => {
  it('can be made without a version, and gets its first one later', async () => {
    const { name } = await app.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), ...fresh() });
    expect(await properRefusalOf(read(`${name}/versions/latest`))).toMatchObject({ code: 'NOT_FOUND' });
    await app.secrets.addSecretVersion({ parent: name, payload: data(Buffer.from('first')), ...fresh() });
    expect(await read(`${name}/versions/latest`)).toEqual(data(Buffer.from('first')));
    expect(await properRefusalOf(read(`${name}/versions/previous`))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is listed while it is there, and after its delete only for who asks for deleted ones', async () => {
    const { name } = await newSecret(tenant.group);
    const listed = async (showDeleted: boolean) =>
      (await app.secrets.listSecrets({ parent: tenant.group, showDeleted, pageSize: 1_000 })).secrets.some(
        (secret) => secret.name === name,
      );
    expect(await listed(false)).toBe(true);
    await operator.secrets.deleteSecret({ name, ...fresh() });
    expect([await listed(false), await listed(true)]).toEqual([false, true]);
    expect(await app.secrets.getSecret({ name })).toMatchObject({ state: Secret_State.DELETED });
    expect(
      await properRefusalOf(app.secrets.updateSecret({ secret: Secret.fromPartial({ name, description: 'x' }), ...fresh() })),
    ).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'RESOURCE_DELETED' });
  });
});

describe('a version', () => {
  it('is unreadable while it is disabled, for ever once destroyed, and counts as the latest all the same', async () => {
    const { name } = await newSecret(tenant.group, 'one');
    const second = await app.secrets.addSecretVersion({ parent: name, payload: text('two'), ...fresh() });
    expect(second).toMatchObject({
      kind: SecretPayload_Kind.TEXT,
      sizeBytes: 3,
      clientSpecifiedCrc32c: true,
      state: SecretVersion_State.ENABLED,
    });

    const disabled = await app.secrets.disableSecretVersion({ name: second.name, etag: second.etag, ...fresh() });
    expect(disabled.state).toBe(SecretVersion_State.DISABLED);
    expect(disabled.etag).not.toBe(second.etag);
    expect(await properRefusalOf(read(`${name}/versions/latest`))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'VERSION_DISABLED',
    });
    expect(await read(`${name}/versions/previous`)).toEqual(text('one'));

    await app.secrets.enableSecretVersion({ name: second.name, ...fresh() });
    expect(await read(second.name)).toEqual(text('two'));

    const destroyed = await operator.secrets.destroySecretVersion({ name: second.name, ...fresh() });
    expect(destroyed).toMatchObject({ state: SecretVersion_State.DESTROYED, sizeBytes: 3 });
    expect(destroyed.destroyTime).toBeInstanceOf(Date);
    for (const version of ['2', 'latest'])
      expect(await properRefusalOf(read(`${name}/versions/${version}`))).toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'VERSION_DESTROYED',
      });
    expect(await properRefusalOf(app.secrets.enableSecretVersion({ name: second.name, ...fresh() }))).toMatchObject({
      reason: 'VERSION_DESTROYED',
    });
    expect(await operator.secrets.destroySecretVersion({ name: second.name, ...fresh() })).toEqual(destroyed);
    expect((await app.secrets.getSecretVersion({ name: `${name}/versions/latest` })).name).toBe(second.name);
    expect(await properRefusalOf(read(`${name}/versions/3`))).toMatchObject({ code: 'NOT_FOUND', reason: 'NOT_FOUND' });
  });
});

describe('what is below a deleted parent', () => {
  it.each<[string, (t: Tenant, secret: string) => Promise<unknown>, (t: Tenant, secret: string) => Promise<unknown>]>([
    [
      'instance',
      ({ instance: name }) => operator.instances.deleteInstance({ name, ...fresh() }),
      ({ instance: name }) => operator.instances.undeleteInstance({ name, ...fresh() }),
    ],
    [
      'group',
      ({ group: name }) => operator.groups.deleteSecretGroup({ name, ...fresh() }),
      ({ group: name }) => operator.groups.undeleteSecretGroup({ name, ...fresh() }),
    ],
    [
      'secret',
      (_, name) => operator.secrets.deleteSecret({ name, ...fresh() }),
      (_, name) => operator.secrets.undeleteSecret({ name, ...fresh() }),
    ],
  ])('cannot be used, and is back exactly as it was once the %s is', async (_, remove, restore) => {
    const own = await newTenant(operator);
    await bind(operator, own.instance, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
    const { name } = await newSecret(own.group, 'one');
    await app.secrets.addSecretVersion({ parent: name, payload: text('two'), ...fresh() });
    await app.secrets.disableSecretVersion({ name: `${name}/versions/1`, ...fresh() });
    const uses = [
      () => read(`${name}/versions/latest`),
      () => app.secrets.getSecretVersion({ name: `${name}/versions/1` }),
      () => app.secrets.listSecretVersions({ parent: name }),
      () => app.secrets.addSecretVersion({ parent: name, payload: text('x'), ...fresh() }),
      () => app.secrets.updateSecret({ secret: Secret.fromPartial({ name, description: 'x' }), ...fresh() }),
    ];
    const before = [await read(`${name}/versions/2`), await app.secrets.listSecretVersions({ parent: name })];
    const { etag, updateTime, ...metadata } = await app.secrets.getSecret({ name });

    await remove(own, name);
    for (const use of uses) expect(await properRefusalOf(use())).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'RESOURCE_DELETED' });
    await restore(own, name);

    expect([await read(`${name}/versions/2`), await app.secrets.listSecretVersions({ parent: name })]).toEqual(before);
    expect(await app.secrets.getSecret({ name })).toMatchObject(metadata);
    expect(etag && updateTime).toBeTruthy();
    expect(await properRefusalOf(read(`${name}/versions/1`))).toMatchObject({ reason: 'VERSION_DISABLED' });
  });
});

describe('a name', () => {
  it('is never used again after its purge, at any level, and the purge record stays', async () => {
    const brief = await newTenant(operator, { retentionSeconds: 1 });
    const { name: secret, uid: secretUid } = await operator.secrets.createSecret({ parent: brief.group, secretId: 'gone', ...fresh() });
    const isDone = (uid: string) =>
      vi.waitFor(async () => expect((await operator.purges.getPurge({ name: `purges/${uid}` })).state).toBe(Purge_State.DONE), {
        timeout: 30_000,
        interval: 100,
      });
    const retired = async (call: Promise<unknown>) =>
      expect(await properRefusalOf(call)).toMatchObject({ code: 'ALREADY_EXISTS', reason: 'NAME_RETIRED' });

    await operator.secrets.deleteSecret({ name: secret, ...fresh() });
    await isDone(secretUid);
    await retired(operator.secrets.createSecret({ parent: brief.group, secretId: 'gone', ...fresh() }));
    await operator.groups.deleteSecretGroup({ name: brief.group, ...fresh() });
    await isDone(brief.groupUid);
    await retired(operator.groups.createSecretGroup({ parent: brief.instance, secretGroupId: 'main', ...fresh() }));
    await operator.instances.deleteInstance({ name: brief.instance, ...fresh() });
    await isDone(brief.instanceUid);
    await retired(operator.instances.createInstance({ instanceId: idOf(brief.instance), ...fresh() }));
    await sleep(0);
    const { purges } = await operator.purges.listPurges({ pageSize: 1_000 });
    expect(purges.filter(({ resource }) => resource.startsWith(brief.instance)).map(({ state }) => state)).toEqual(
      Array(3).fill(Purge_State.DONE),
    );
  });
});
