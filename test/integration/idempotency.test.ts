// Every change a caller of the store can ask for, asked for several times at once and again later under one request id: it
// is made once, and every answer is the first one.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Binding, Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Instance, RetentionPolicy } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { InstanceLimits } from '../../src/gen/strongroom/secrets/v1/limit_service.ts';
import { SecretGroup } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { Generator, type VersionExpiration } from '../../src/gen/strongroom/secrets/v1/secret_types.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { clientsOf, type Options } from '../support/clients.ts';
import { rpcs } from '../support/descriptors.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
});
afterAll(() => [operator, auditor].forEach((clients) => clients[Symbol.dispose]()));

const { instances, groups, secrets, rotations, aliases, locks, bindings, holds, moves, purges } = operator;
const newGroup = async () => (await groups.createSecretGroup({ parent: tenant.instance, secretGroupId: newId('g'), ...fresh() })).name;
const newSecret = async () =>
  (await secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: text('v'), ...fresh() })).name;
const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
const binding = Binding.fromPartial({ principal: 'spiffe://strongroom.internal/somebody', role: Role.READER });
type Repeat = (once: { requestId: string }, options: Options) => Promise<unknown>;

/** By RPC: prepares what it needs, and gives the call that is to be repeated. */
const MUTATIONS: Readonly<Record<string, () => Promise<Repeat>>> = {
  'InstanceService/CreateInstance': async () => {
    const instanceId = newId('t');
    return (once, o) => instances.createInstance({ instanceId, ...once }, o);
  },
  'InstanceService/UpdateInstance': async () => {
    const instance = Instance.fromPartial({ name: tenant.instance, displayName: newId('d') });
    return (once, o) => instances.updateInstance({ instance, ...once }, o);
  },
  'InstanceService/DeleteInstance': async () => {
    const { instance: name } = await newTenant(operator);
    return (once, o) => instances.deleteInstance({ name, ...once }, o);
  },
  'InstanceService/UndeleteInstance': async () => {
    const { instance: name } = await newTenant(operator);
    await instances.deleteInstance({ name, ...fresh() });
    return (once, o) => instances.undeleteInstance({ name, ...once }, o);
  },
  'SecretGroupService/CreateSecretGroup': async () => {
    const secretGroupId = newId('g');
    return (once, o) => groups.createSecretGroup({ parent: tenant.instance, secretGroupId, ...once }, o);
  },
  'SecretGroupService/UpdateSecretGroup': async () => {
    const secretGroup = SecretGroup.fromPartial({ name: await newGroup(), displayName: 'new' });
    return (once, o) => groups.updateSecretGroup({ secretGroup, ...once }, o);
  },
  'SecretGroupService/DeleteSecretGroup': async () => {
    const name = await newGroup();
    return (once, o) => groups.deleteSecretGroup({ name, ...once }, o);
  },
  'SecretGroupService/UndeleteSecretGroup': async () => {
    const name = await newGroup();
    await groups.deleteSecretGroup({ name, ...fresh() });
    return (once, o) => groups.undeleteSecretGroup({ name, ...once }, o);
  },
  'SecretGroupService/RotateSecretGroupKey': async () => {
    const name = await newGroup();
    return (once, o) => groups.rotateSecretGroupKey({ name, ...once }, o);
  },
  'SecretService/CreateSecret': async () => {
    const request = { parent: tenant.group, secretId: newId('s'), payload: text('v') };
    return (once, o) => secrets.createSecret({ ...request, ...once }, o);
  },
  'SecretService/UpdateSecret': async () => {
    const name = await newSecret();
    const { etag } = await secrets.getSecret({ name });
    // With the etag of before, which a second change would find stale.
    const secret = Secret.fromPartial({ name, etag, description: 'new' });
    return (once, o) => secrets.updateSecret({ secret, ...once }, o);
  },
  'SecretService/DeleteSecret': async () => {
    const name = await newSecret();
    return (once, o) => secrets.deleteSecret({ name, ...once }, o);
  },
  'SecretService/UndeleteSecret': async () => {
    const name = await newSecret();
    await secrets.deleteSecret({ name, ...fresh() });
    return (once, o) => secrets.undeleteSecret({ name, ...once }, o);
  },
  'SecretService/AddSecretVersion': async () => {
    const parent = await newSecret();
    return (once, o) => secrets.addSecretVersion({ parent, payload: text('next'), ...once }, o);
  },
  'SecretService/RollbackSecret': async () => {
    const name = await newSecret();
    return (once, o) => secrets.rollbackSecret({ name, version: 1, ...once }, o);
  },
  'SecretService/EnableSecretVersion': async () => {
    const name = `${await newSecret()}/versions/1`;
    await secrets.disableSecretVersion({ name, ...fresh() });
    return (once, o) => secrets.enableSecretVersion({ name, ...once }, o);
  },
  'SecretService/DisableSecretVersion': async () => {
    const name = `${await newSecret()}/versions/1`;
    return (once, o) => secrets.disableSecretVersion({ name, ...once }, o);
  },
  'SecretService/DestroySecretVersion': async () => {
    const name = `${await newSecret()}/versions/1`;
    return (once, o) => secrets.destroySecretVersion({ name, ...once }, o);
  },
  'SecretService/RestoreSecretVersion': async () => {
    const name = `${await newSecret()}/versions/1`;
    const retentionPolicy = RetentionPolicy.fromPartial({ version: { seconds: 3_600n } });
    await instances.updateInstance({ instance: Instance.fromPartial({ name: tenant.instance, retentionPolicy }), ...fresh() });
    await secrets.destroySecretVersion({ name, ...fresh() });
    return (once, o) => secrets.restoreSecretVersion({ name, ...once }, o);
  },
  'SecretRotationService/RotateSecret': async () => {
    const generator = Generator.fromPartial({ value: { $case: 'data', value: {} } });
    const secret = Secret.fromPartial({ rotation: { generator } });
    const { name } = await secrets.createSecret({ parent: tenant.group, secretId: newId('s'), secret, generate: generator, ...fresh() });
    return (once, o) => rotations.rotateSecret({ name, ...once }, o);
  },
  'SecretRotationService/SetSecretVersionExpiration': async () => {
    const name = `${await newSecret()}/versions/1`;
    const expiration: VersionExpiration = { at: { $case: 'ttl', value: { seconds: 86_400n, nanos: 0 } } };
    return (once, o) => rotations.setSecretVersionExpiration({ name, expiration, ...once }, o);
  },
  'SecretVersionAliasService/SetVersionAlias': async () => {
    const name = await newSecret();
    return (once, o) => aliases.setVersionAlias({ name, alias: 'stable', version: 1, expectedVersion: 0, ...once }, o);
  },
  'SecretVersionAliasService/DeleteVersionAlias': async () => {
    const name = await newSecret();
    await aliases.setVersionAlias({ name, alias: 'stable', version: 1, ...fresh() });
    return (once, o) => aliases.deleteVersionAlias({ name, alias: 'stable', ...once }, o);
  },
  'SecretLockService/CreateSecretLock': async () => {
    const parent = `${await newSecret()}/versions/latest`;
    return (once, o) => locks.createSecretLock({ parent, lockId: 'app', ...once }, o);
  },
  'SecretLockService/DeleteSecretLock': async () => {
    const { name } = await locks.createSecretLock({ parent: `${await newSecret()}/versions/1`, lockId: 'app', ...fresh() });
    return (once, o) => locks.deleteSecretLock({ name, ...once }, o);
  },
  'SecretLockService/DeleteSecretLocks': async () => {
    const parent = await newSecret();
    await locks.createSecretLock({ parent: `${parent}/versions/1`, lockId: 'app', ...fresh() });
    return (once, o) => locks.deleteSecretLocks({ parent, lockIdPattern: '*', ...once }, o);
  },
  'SecretMoveService/MoveSecret': async () => {
    const [name, destinationParent] = [await newSecret(), await newGroup()];
    return (once, o) => moves.moveSecret({ name, destinationParent, ...once }, o);
  },
  'HoldService/CreateHold': async () => {
    const parent = await newSecret();
    return (once, o) => holds.createHold({ parent, holdId: 'case-7', hold, ...once }, o);
  },
  'HoldService/DeleteHold': async () => {
    const { name } = await holds.createHold({ parent: await newSecret(), holdId: 'case-7', hold, ...fresh() });
    return (once, o) => holds.deleteHold({ name, ...once }, o);
  },
  'PurgeService/ExpeditePurge': async () => {
    const own = await newTenant(operator);
    await bind(operator, own.group, spiffeIdOf('operator'), Role.PURGER);
    const { name: resource } = await secrets.createSecret({ parent: own.group, secretId: 's', ...fresh() });
    await secrets.deleteSecret({ name: resource, ...fresh() });
    return (once, o) => purges.expeditePurge({ resource, ...once }, o);
  },
  'LimitService/SetInstanceLimits': async () => {
    const limits = InstanceLimits.fromPartial({ groupsCount: 1_000n });
    return (once, o) => operator.limits.setInstanceLimits({ name: tenant.instance, limits, ...once }, o);
  },
  'BindingService/CreateBinding': async () => {
    const scope = await newGroup();
    return (once, o) => bindings.createBinding({ binding: { ...binding, scope }, ...once }, o);
  },
  'BindingService/DeleteBinding': async () => {
    const scope = await newGroup();
    await bindings.createBinding({ binding: { ...binding, scope }, ...fresh() });
    return (once, o) => bindings.deleteBinding({ binding: { ...binding, scope }, ...once }, o);
  },
};

describe('a change that is asked for again under its request id', () => {
  it('is tried here for every RPC of the store that changes something', () => {
    const all = rpcs().filter(({ service, mutation }) => service === 'store' && mutation);
    expect(Object.keys(MUTATIONS).sort()).toEqual(all.map(({ name }) => name.replace('strongroom.secrets.v1.', '')).sort());
  });

  it.each(Object.entries(MUTATIONS))('is made once by %s, and every answer is the first one', async (_, prepare) => {
    const repeat = await prepare();
    const once = { requestId: randomUUID() };
    const id = randomUUID();
    const options = { metadata: { 'x-correlation-id': id } };
    const answers = await Promise.all(Array.from({ length: 5 }, () => repeat(once, options)));
    answers.push(await repeat(once, options));
    expect(answers[0]).toBeDefined();
    for (const answer of answers) expect(answer).toEqual(answers[0]);

    // One entry of the change, and one of each answer that was only given again.
    const told = (await entriesOfCall(auditor, id, 6)).filter(({ source }) => source === spiffeIdOf('store')).map(({ event }) => event!);
    const { SUCCESS } = Event_Outcome;
    expect(told.filter(({ outcome, attributes }) => outcome === SUCCESS && !attributes.has('replay'))).toHaveLength(1);
    expect(
      told.filter(({ outcome, attributes }) => outcome === SUCCESS && attributes.get('replay') === 'true').length,
    ).toBeGreaterThanOrEqual(5);
  });

  it('a hundred times at once has one effect, and a hundred equal answers', async () => {
    const [parent, once] = [await newSecret(), fresh()];
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => secrets.addSecretVersion({ parent, payload: text('next'), ...once }, { timeoutMs: 20_000 })),
    );
    expect(new Set(answers.map(({ name }) => name))).toEqual(new Set([`${parent}/versions/2`]));
    expect((await secrets.listSecretVersions({ parent })).secretVersions).toHaveLength(2);
  });

  it('that was refused is tried again: a refusal is not kept', async () => {
    const [name, once] = [await newSecret(), fresh()];
    expect(await properRefusalOf(secrets.undeleteSecret({ name, ...once }))).toMatchObject({ reason: 'NOT_DELETED' });
    await secrets.deleteSecret({ name, ...fresh() });
    expect((await secrets.undeleteSecret({ name, ...once })).name).toBe(name);
  });

  it('answers as it did then, also when much has happened since', async () => {
    const once = fresh();
    const request = { parent: tenant.group, secretId: newId('s'), payload: text('v'), ...once };
    const made = await secrets.createSecret(request);
    await secrets.addSecretVersion({ parent: made.name, payload: text('w'), ...fresh() });
    await secrets.deleteSecret({ name: made.name, ...fresh() });
    expect(await secrets.createSecret(request)).toEqual(made);
  });
});
