// What callers meet who ask for too much: on a store whose limits are small, beside one whose limits are as configured.
import { status, type ServiceError } from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { FILE } from '../../src/dev/service-config.ts';
import { SecretGroupServiceService } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { InstanceLimits } from '../../src/gen/strongroom/secrets/v1/limit_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, connectWith, decodeRefusal, unary, type Clients } from '../support/clients.ts';
import { clientsAs, materialFor, spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica, type Replica } from '../support/replica.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import { reaches } from '../worker/purges.ts';

const stack = inject('stack');
const [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
const opened: Clients[] = [operator, auditor];
const IDENTITY = { readsPerSecond: 40, writesPerSecond: 10, streams: 2 };
let small: Replica;
let tenant: Tenant;
beforeAll(async () => {
  small = await startReplica(stack, 'store', { limits: { identity: IDENTITY } });
  tenant = await newTenant(operator);
});
afterAll(async () => {
  for (const clients of opened) clients[Symbol.dispose]();
  await small[Symbol.asyncDispose]();
});

/** Somebody new, with these roles in the tenant, at the small store. */
const newCaller = async (...roles: Role[]) => {
  const path = newId('caller');
  const clients = await clientsAs(small.stack, path);
  opened.push(clients);
  await bind(operator, tenant.instance, spiffe(path), ...roles);
  const { getSecretGroup } = clients.groups;
  await vi.waitFor(() => getSecretGroup({ name: tenant.group }), { timeout: 2_000, interval: 100 });
  return { path, clients };
};
const outcomesOf = async (calls: Promise<unknown>[]) => {
  const settled = await Promise.allSettled(calls);
  const errors = settled.filter((result) => result.status === 'rejected').map(({ reason }) => reason as ServiceError);
  return { done: calls.length - errors.length, errors };
};
const many = <T>(count: number, make: () => Promise<T>): Promise<T>[] => Array.from({ length: count }, make);
const newSecret = (clients: Clients, parent = tenant.group, value = 'v') =>
  clients.secrets.createSecret({ parent, secretId: newId('s'), payload: text(value), ...fresh() });
const setLimits = (name: string, limits: Partial<InstanceLimits>) =>
  operator.limits.setInstanceLimits({ name, limits: InstanceLimits.fromPartial(limits), ...fresh() });
const limitOf = async (clients: Clients, name: string, limit: string) =>
  (await clients.limits.getLimits({ name })).limits.find((each) => each.name === limit)!;

describe('an identity that calls too often', () => {
  it('is told which limit it is over and how long to wait, in the way that client libraries understand', async () => {
    const { clients } = await newCaller(Role.READER);
    const { done, errors } = await outcomesOf(many(100, () => clients.groups.getSecretGroup({ name: tenant.group })));
    expect(done).toBeGreaterThanOrEqual(35);
    expect(done).toBeLessThan(70);
    for (const error of errors) {
      expect(status[error.code]).toBe('RESOURCE_EXHAUSTED');
      const refusal = decodeRefusal(error);
      expect(refusal).toMatchObject({ reason: 'RATE_LIMIT_EXCEEDED', metadata: { limit: 'identity.readsPerSecond', value: '40' } });
      expect(refusal.retryAfterMs).toBeGreaterThan(0);
      expect(error.metadata.get('grpc-retry-pushback-ms')).toEqual([String(refusal.retryAfterMs)]);
    }
    await sleep(Math.max(...errors.map((error) => decodeRefusal(error).retryAfterMs ?? 0)));
    await clients.groups.getSecretGroup({ name: tenant.group });
  });

  it('is not recorded for that in the audit log, which it would flood', async () => {
    const { path, clients } = await newCaller(Role.READER);
    const { done, errors } = await outcomesOf(many(80, () => clients.groups.listSecretGroups({ parent: tenant.instance })));
    expect(errors.length).toBeGreaterThan(0);
    const entries = await entriesOf(auditor, { principal: spiffe(path), action: 'secrets.group.list' });
    expect(entries).toHaveLength(done);
  });

  it('gets through all the same, later, with the service config that clients are given', async () => {
    const path = newId('caller');
    await bind(operator, tenant.instance, spiffe(path), Role.READER);
    const material = await materialFor(small.stack, { uris: [spiffe(path)] });
    const client = connectWith(small.address, material, { 'grpc.service_config': readFileSync(FILE, 'utf8') });
    const { getSecretGroup } = unary(client, SecretGroupServiceService);
    await vi.waitFor(() => getSecretGroup({ name: tenant.group }), { timeout: 2_000, interval: 100 });
    const { errors } = await outcomesOf(many(70, () => getSecretGroup({ name: tenant.group })));
    client.close();
    expect(errors).toEqual([]);
  });

  it('has limits for reads and writes apart', async () => {
    const { clients } = await newCaller(Role.WRITER);
    const { done, errors } = await outcomesOf(many(25, () => newSecret(clients)));
    expect(done).toBeGreaterThanOrEqual(10);
    expect(decodeRefusal(errors[0]!).metadata['limit']).toBe('identity.writesPerSecond');
    await clients.groups.getSecretGroup({ name: tenant.group });
  });

  it('starves nobody else', async () => {
    const [greedy, modest] = [await newCaller(Role.READER), await newCaller(Role.READER)];
    let going = true;
    const hammer = async () => {
      while (going) await outcomesOf(many(20, () => greedy.clients.groups.getSecretGroup({ name: tenant.group })));
    };
    const hammering = Promise.all([hammer(), hammer(), hammer()]);
    try {
      for (let i = 0; i < 20; i++) {
        await modest.clients.groups.getSecretGroup({ name: tenant.group });
        await sleep(30);
      }
    } finally {
      going = false;
      await hammering;
    }
  });
});

describe('streams of one identity', () => {
  it('are as many as configured at once, and one that has ended makes room', async () => {
    const group = (await operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: newId('g'), ...fresh() })).name;
    const { uid } = await operator.groups.deleteSecretGroup({ name: group, ...fresh() });
    const path = newId('watcher');
    await bind(operator, 'system', spiffe(path), Role.READER);
    const clients = await clientsAs(small.stack, path);
    opened.push(clients);
    const watch = () => clients.watchPurge({ name: `purges/${uid}` });
    await vi.waitFor(() => clients.purges.getPurge({ name: `purges/${uid}` }), { timeout: 2_000, interval: 100 });
    const [one, two] = [watch(), watch()];
    await Promise.all([one.next(), two.next()]);
    expect((await limitOf(clients, tenant.instance, 'identity.streams')).remaining).toBe(0n);
    expect(await properRefusalOf(watch().next())).toMatchObject({
      reason: 'RATE_LIMIT_EXCEEDED',
      metadata: { limit: 'identity.streams', value: '2' },
      retryAfterMs: 1_000,
    });
    await one.return(undefined);
    await vi.waitFor(() => watch().next(), { timeout: 2_000, interval: 100 });
    await two.return(undefined);
  });
});

describe('the limits of an instance', () => {
  it('bind all its callers together at each replica, and none of another instance', async () => {
    const own = await newTenant(operator);
    await setLimits(own.instance, { readsPerSecond: 5n });
    const { errors } = await outcomesOf(many(30, () => operator.instances.getInstance({ name: own.instance })));
    expect(errors.length).toBeGreaterThan(10);
    expect(decodeRefusal(errors[0]!)).toMatchObject({
      reason: 'RATE_LIMIT_EXCEEDED',
      metadata: { limit: 'instance.readsPerSecond', value: '5' },
    });
    await operator.instances.getInstance({ name: tenant.instance });
  });

  it('are told with what is used of them, and what is the instance’s own', async () => {
    const own = await newTenant(operator);
    const { name: secret } = await newSecret(operator, own.group, 'seven!!');
    expect(await setLimits(own.instance, { groupsCount: 3n, bytes: 20n })).toMatchObject({
      name: own.instance,
      groupsCount: 3n,
      bytes: 20n,
    });
    const { limits } = await operator.limits.getLimits({ name: secret });
    expect(limits.map(({ name }) => name)).toEqual([
      'identity.readsPerSecond',
      'identity.writesPerSecond',
      'identity.streams',
      'instance.readsPerSecond',
      'instance.writesPerSecond',
      'instance.groups',
      'instance.secretsPerGroup',
      'instance.versionsPerSecret',
      'instance.bytes',
      'payload.bytes',
    ]);
    const told = Object.fromEntries(limits.map(({ name, ...rest }) => [name, rest]));
    expect(told['instance.groups']).toEqual({ value: 3n, used: 1n, remaining: 2n, overridden: true });
    expect(told['instance.bytes']).toEqual({ value: 20n, used: 7n, remaining: 13n, overridden: true });
    expect(told['instance.secretsPerGroup']).toMatchObject({ used: 1n, overridden: false });
    expect(told['instance.versionsPerSecret']).toMatchObject({ used: 1n, overridden: false });
    expect(told['payload.bytes']).toEqual({ value: 1_048_576n, used: undefined, remaining: undefined, overridden: false });
    expect((await limitOf(operator, own.instance, 'instance.secretsPerGroup')).used).toBeUndefined();
    // Set again without them, they are as configured.
    await setLimits(own.instance, {});
    expect(await limitOf(operator, own.instance, 'instance.groups')).toMatchObject({ value: 10_000n, overridden: false });
  });

  it('are not for its own Managers to set', async () => {
    const { clients } = await newCaller(Role.MANAGER);
    const call = clients.limits.setInstanceLimits({ name: tenant.instance, limits: InstanceLimits.create(), ...fresh() });
    expect((await properRefusalOf(call)).code).toBe('PERMISSION_DENIED');
  });

  it.each([
    ['a limit out of its range', { limits: InstanceLimits.fromPartial({ readsPerSecond: 0n }) }, 'limits.reads_per_second'],
    ['none at all', { limits: undefined }, 'limits'],
  ])('with %s are refused', async (_, request, field) => {
    const refusal = await properRefusalOf(operator.limits.setInstanceLimits({ name: tenant.instance, ...request, ...fresh() }));
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', fields: [field] });
  });
});

describe('a quota', () => {
  const overQuota = async (call: Promise<unknown>, limit: string, value: string) =>
    expect(await properRefusalOf(call)).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'QUOTA_EXCEEDED',
      metadata: { limit: `instance.${limit}`, value },
      retryAfterMs: undefined,
    });

  it('of groups is kept, and one that is purged makes room', async () => {
    const own = await newTenant(operator, { retentionSeconds: 1 });
    await setLimits(own.instance, { groupsCount: 2n });
    const newGroup = () => operator.groups.createSecretGroup({ parent: own.instance, secretGroupId: newId('g'), ...fresh() });
    const { name } = await newGroup();
    await overQuota(newGroup(), 'groups', '2');
    const { uid } = await operator.groups.deleteSecretGroup({ name, ...fresh() });
    await overQuota(newGroup(), 'groups', '2');
    await reaches(operator, uid, Purge_State.DONE);
    await newGroup();
  });

  it('of secrets in a group is kept by writers one after another, and in other groups there is room', async () => {
    const own = await newTenant(operator, { retentionSeconds: 1 });
    await setLimits(own.instance, { secretsPerGroupCount: 3n });
    const made = [await newSecret(operator, own.group), await newSecret(operator, own.group), await newSecret(operator, own.group)];
    await overQuota(newSecret(operator, own.group), 'secretsPerGroup', '3');
    const other = await operator.groups.createSecretGroup({ parent: own.instance, secretGroupId: 'other', ...fresh() });
    await newSecret(operator, other.name);
    const { uid } = await operator.secrets.deleteSecret({ name: made[0]!.name, ...fresh() });
    await reaches(operator, uid, Purge_State.DONE);
    await newSecret(operator, own.group);
    await overQuota(newSecret(operator, own.group), 'secretsPerGroup', '3');
  });

  it('is gone over at most by what is under way at the same moment, and what is there is counted exactly', async () => {
    const own = await newTenant(operator);
    await setLimits(own.instance, { secretsPerGroupCount: 10n });
    await outcomesOf(many(30, () => newSecret(operator, own.group)));
    const { secrets } = await operator.secrets.listSecrets({ parent: own.group });
    expect(secrets.length).toBeGreaterThanOrEqual(10);
    expect((await limitOf(operator, own.group, 'instance.secretsPerGroup')).used).toBe(BigInt(secrets.length));
    expect((await limitOf(operator, own.group, 'instance.bytes')).used).toBe(BigInt(secrets.length));
    await overQuota(newSecret(operator, own.group), 'secretsPerGroup', '10');
  });

  it('of versions is kept exactly, also by 20 writers at once, and one that is destroyed makes room', async () => {
    const own = await newTenant(operator);
    const { name: parent } = await newSecret(operator, own.group);
    await setLimits(own.instance, { versionsPerSecretCount: 4n });
    const add = () => operator.secrets.addSecretVersion({ parent, payload: text('w'), ...fresh() });
    const { done } = await outcomesOf(many(20, add));
    expect(done).toBe(3);
    await overQuota(add(), 'versionsPerSecret', '4');
    await operator.secrets.destroySecretVersion({ name: `${parent}/versions/1`, ...fresh() });
    await add();
    await overQuota(add(), 'versionsPerSecret', '4');
  });

  it('of bytes is kept to the byte, and what is destroyed or purged makes room', async () => {
    const own = await newTenant(operator, { retentionSeconds: 1 });
    await setLimits(own.instance, { bytes: 10n });
    const { name: parent } = await newSecret(operator, own.group, 'four');
    await overQuota(newSecret(operator, own.group, 'seven!!'), 'bytes', '10');
    await operator.secrets.addSecretVersion({ parent, payload: text('sixsix'), ...fresh() });
    await overQuota(operator.secrets.addSecretVersion({ parent, payload: text('1'), ...fresh() }), 'bytes', '10');
    await operator.secrets.destroySecretVersion({ name: `${parent}/versions/2`, ...fresh() });
    expect((await limitOf(operator, own.instance, 'instance.bytes')).used).toBe(4n);
    await operator.secrets.addSecretVersion({ parent, payload: text('sixsix'), ...fresh() });
    const { uid } = await operator.secrets.deleteSecret({ name: parent, ...fresh() });
    await reaches(operator, uid, Purge_State.DONE);
    expect((await limitOf(operator, own.instance, 'instance.bytes')).used).toBe(0n);
    await newSecret(operator, own.group, 'ten bytes!');
  });

  it('that is not a matter of waiting tells client libraries not to try again', async () => {
    const own = await newTenant(operator);
    await setLimits(own.instance, { secretsPerGroupCount: 0n });
    const error = await newSecret(operator, own.group).catch((thrown: unknown) => thrown as ServiceError);
    expect((error as ServiceError).metadata.get('grpc-retry-pushback-ms')).toEqual(['-1']);
  });
});
