// One call of every RPC, on resources that are there and in the state that the call needs: what stops it, then, is that
// its caller may not make it.
import { randomUUID } from 'node:crypto';
import { Event, Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import type { DekContext } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { Binding, Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { SecretGroup } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { Generator } from '../../src/gen/strongroom/secrets/v1/secret_types.ts';
import type { Clients, Options } from '../support/clients.ts';
import { fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import { AUDIT_ADMIN_CALLS } from './audit-admin-calls.ts';
import { AUTHORIZATION_CALLS } from './authorization-calls.ts';
import { DELETION_CALLS, first, makeDeletionTargets, type DeletionTargets } from './deletion-calls.ts';
import { IMPORT_CALLS, makeImportTargets, type ImportTargets } from './import-calls.ts';
import { KEY_CALLS, makeKeyTargets, type KeyTargets } from './key-calls.ts';
import { makeOrganisationTargets, ORGANISATION_CALLS, type OrganisationTargets } from './organisation-calls.ts';
import { REGISTRATION_CALLS } from './registration-calls.ts';
import { prepareVersions, VERSION_CALLS } from './version-calls.ts';

export interface Targets extends Tenant, DeletionTargets, KeyTargets, ImportTargets, OrganisationTargets {
  secret: string;
  scope: string;
  context: DekContext;
  wrappedDek: Buffer;
  /** Each of these has one call that wants to see it gone. */
  doomed: { instance: string; group: string; secret: string; version: string; scope: string; rootKey: string };
  /** And each of these one that wants it back. */
  deleted: { instance: string; group: string; secret: string };
  purge: string;
  masterKeyId: string;
  /** A scope whose key has a second version. */
  rotated: string;
  /** A secret whose values are generated. */
  generated: string;
  /** A group whose key was replaced. */
  rekeyed: string;
}

const stranger = 'spiffe://strongroom.internal/somebody';

export const makeTargets = async (
  operator: Clients,
  app: Clients,
  store: Clients,
  bindApp: (group: string) => Promise<void>,
): Promise<Targets> => {
  const tenant = await newTenant(operator);
  const { instance, instanceUid, group, rootKey } = tenant;
  await bindApp(group);
  const newSecret = async (secretId: string) => {
    const made = { parent: group, secretId, payload: text('a value'), ...fresh() };
    return (await app.secrets.createSecret(made)).name;
  };
  const newGroup = async (secretGroupId: string) =>
    (await operator.groups.createSecretGroup({ parent: instance, secretGroupId, ...fresh() })).name;
  const newScope = async (under: string, owner: string) =>
    (await store.envelopes.createScope({ scopeUid: randomUUID(), rootKey: under, instanceUid: owner })).name;

  const [secret, doomedSecret, deletedSecret] = [await newSecret('kept'), await newSecret('doomed'), await newSecret('deleted')];
  await app.secrets.addSecretVersion({ parent: secret, payload: text('another'), ...fresh() });
  const generator = Generator.fromPartial({ value: { $case: 'data', value: {} } });
  const generated = Secret.fromPartial({ rotation: { generator } });
  await app.secrets.createSecret({ parent: group, secretId: 'generated', secret: generated, generate: generator, ...fresh() });
  await prepareVersions(app, secret);
  const [doomedGroup, deletedGroup] = [await newGroup('doomed'), await newGroup('deleted')];
  const rekeyed = await newGroup('rekeyed');
  await operator.groups.rotateSecretGroupKey({ name: rekeyed, ...fresh() });
  const [doomedInstance, deletedInstance] = [await newTenant(operator), await newTenant(operator)];
  const { uid } = await operator.secrets.deleteSecret({ name: deletedSecret, ...fresh() });
  await operator.groups.deleteSecretGroup({ name: deletedGroup, ...fresh() });
  await operator.instances.deleteInstance({ name: deletedInstance.instance, ...fresh() });
  const gone = await operator.secrets.deleteSecret({ name: await newSecret('purged'), ...fresh() });

  const keyTargets = await makeKeyTargets(operator);
  const scope = await newScope(rootKey, instanceUid);
  const context: DekContext = { instanceUid, resourceUid: uid, version: 1, additionalData: Buffer.alloc(0) };
  const { wrappedDek } = await store.envelopes.generateDek({ scope, context });
  const rotated = await newScope(rootKey, instanceUid);
  await store.scopes.rotateScopeKey({ name: rotated, expectedVersion: 1 });
  const owner = randomUUID();
  const doomedKey = await store.keys.createRootKey({ parent: 'keyRings/provider', rootKeyId: owner, owner });
  return {
    ...tenant,
    ...(await makeDeletionTargets(operator, instance, group)),
    ...(await makeOrganisationTargets(operator, group)),
    ...keyTargets,
    ...(await makeImportTargets(operator, keyTargets.ring)),
    secret,
    scope,
    context,
    wrappedDek,
    doomed: {
      instance: doomedInstance.instance,
      group: doomedGroup,
      secret: doomedSecret,
      version: `${await newSecret('spent')}/versions/1`,
      scope: await newScope(rootKey, instanceUid),
      rootKey: doomedKey.name,
    },
    deleted: { instance: deletedInstance.instance, group: deletedGroup, secret: deletedSecret },
    purge: `purges/${gone.uid}`,
    rotated,
    generated: `${group}/secrets/generated`,
    rekeyed,
    masterKeyId: (await operator.keys.getMasterKeyStatus({})).current?.id ?? '',
  };
};

type MakeCall = (as: Clients, on: Targets, options: Options) => Promise<unknown>;

const event = (): Event =>
  Event.fromPartial({
    eventId: randomUUID(),
    occurTime: new Date(),
    action: 'test.event.append',
    principal: stranger,
    outcome: Event_Outcome.SUCCESS,
  });

/** By service and method. */
export const CALLS: Readonly<Record<string, MakeCall>> = {
  ...DELETION_CALLS,
  ...VERSION_CALLS,
  ...KEY_CALLS,
  ...REGISTRATION_CALLS,
  ...ORGANISATION_CALLS,
  ...IMPORT_CALLS,
  ...AUTHORIZATION_CALLS,
  'InstanceService/CreateInstance': (as, _, o) => as.instances.createInstance({ instanceId: newId('m'), ...fresh() }, o),
  'InstanceService/GetInstance': (as, on, o) => as.instances.getInstance({ name: on.instance }, o),
  'InstanceService/ListInstances': (as, _, o) => as.instances.listInstances({}, o),
  'InstanceService/UpdateInstance': (as, on, o) =>
    as.instances.updateInstance({ instance: Instance.fromPartial({ name: on.instance, displayName: 'new' }), ...fresh() }, o),
  'InstanceService/DeleteInstance': (as, on, o) => as.instances.deleteInstance({ name: on.doomed.instance, ...fresh() }, o),
  'InstanceService/UndeleteInstance': (as, on, o) => as.instances.undeleteInstance({ name: on.deleted.instance, ...fresh() }, o),

  'SecretGroupService/CreateSecretGroup': (as, on, o) =>
    as.groups.createSecretGroup({ parent: on.instance, secretGroupId: newId('m'), ...fresh() }, o),
  'SecretGroupService/GetSecretGroup': (as, on, o) => as.groups.getSecretGroup({ name: on.group }, o),
  'SecretGroupService/ListSecretGroups': (as, on, o) => as.groups.listSecretGroups({ parent: on.instance }, o),
  'SecretGroupService/UpdateSecretGroup': (as, on, o) =>
    as.groups.updateSecretGroup({ secretGroup: SecretGroup.fromPartial({ name: on.group, displayName: 'new' }), ...fresh() }, o),
  'SecretGroupService/DeleteSecretGroup': (as, on, o) => as.groups.deleteSecretGroup({ name: on.doomed.group, ...fresh() }, o),
  'SecretGroupService/UndeleteSecretGroup': (as, on, o) => as.groups.undeleteSecretGroup({ name: on.deleted.group, ...fresh() }, o),

  'SecretGroupService/RotateSecretGroupKey': (as, on, o) => as.groups.rotateSecretGroupKey({ name: on.group, ...fresh() }, o),
  'SecretGroupService/GetSecretGroupKeyRotation': (as, on, o) => as.groups.getSecretGroupKeyRotation({ name: on.rekeyed }, o),
  'SecretGroupService/WatchSecretGroupKeyRotation': (as, on, o) => first(as.watchGroupRotation({ name: on.rekeyed }, o)),

  'SecretService/CreateSecret': (as, on, o) =>
    as.secrets.createSecret({ parent: on.group, secretId: newId('m'), payload: text('a value'), ...fresh() }, o),
  'SecretService/GetSecret': (as, on, o) => as.secrets.getSecret({ name: on.secret }, o),
  'SecretService/ListSecrets': (as, on, o) => as.secrets.listSecrets({ parent: on.group }, o),
  'SecretService/UpdateSecret': (as, on, o) =>
    as.secrets.updateSecret({ secret: Secret.fromPartial({ name: on.secret, description: 'new' }), ...fresh() }, o),
  'SecretService/DeleteSecret': (as, on, o) => as.secrets.deleteSecret({ name: on.doomed.secret, ...fresh() }, o),
  'SecretService/UndeleteSecret': (as, on, o) => as.secrets.undeleteSecret({ name: on.deleted.secret, ...fresh() }, o),
  'SecretService/AddSecretVersion': (as, on, o) => as.secrets.addSecretVersion({ parent: on.secret, payload: text('next'), ...fresh() }, o),
  'SecretService/GetSecretVersion': (as, on, o) => as.secrets.getSecretVersion({ name: `${on.secret}/versions/1` }, o),
  'SecretService/ListSecretVersions': (as, on, o) => as.secrets.listSecretVersions({ parent: on.secret }, o),
  'SecretService/EnableSecretVersion': (as, on, o) => as.secrets.enableSecretVersion({ name: `${on.secret}/versions/2`, ...fresh() }, o),
  'SecretService/DisableSecretVersion': (as, on, o) => as.secrets.disableSecretVersion({ name: `${on.secret}/versions/2`, ...fresh() }, o),
  'SecretService/DestroySecretVersion': (as, on, o) => as.secrets.destroySecretVersion({ name: on.doomed.version, ...fresh() }, o),

  'SecretRotationService/RotateSecret': (as, on, o) => as.rotations.rotateSecret({ name: on.generated, ...fresh() }, o),
  'SecretRotationService/SetSecretVersionExpiration': (as, on, o) =>
    as.rotations.setSecretVersionExpiration({ name: `${on.secret}/versions/1`, ...fresh() }, o),

  'SecretAccessService/AccessSecretVersion': (as, on, o) => as.access.accessSecretVersion({ name: `${on.secret}/versions/1` }, o),

  'BindingService/CreateBinding': (as, on, o) => as.bindings.createBinding({ binding: bindingOn(on.group), ...fresh() }, o),
  'BindingService/ListBindings': (as, on, o) => as.bindings.listBindings({ scope: on.group }, o),
  'BindingService/DeleteBinding': (as, on, o) => as.bindings.deleteBinding({ binding: bindingOn(on.group), ...fresh() }, o),

  'PurgeService/GetPurge': (as, on, o) => as.purges.getPurge({ name: on.purge }, o),
  'PurgeService/ListPurges': (as, _, o) => as.purges.listPurges({}, o),

  'KeyService/CreateRootKey': (as, on, o) =>
    as.keys.createRootKey({ parent: 'keyRings/provider', rootKeyId: newId('m'), owner: on.instanceUid }, o),
  'KeyService/GetRootKey': (as, on, o) => as.keys.getRootKey({ name: on.rootKey }, o),
  'KeyService/DestroyRootKey': (as, on, o) => as.keys.destroyRootKey({ name: on.doomed.rootKey }, o),

  'KeyService/GetMasterKeyStatus': (as, _, o) => as.keys.getMasterKeyStatus({}, o),
  'KeyService/RotateMasterKey': (as, on, o) => as.keys.rotateMasterKey({ currentId: on.masterKeyId }, o),

  'EnvelopeService/CreateScope': (as, on, o) =>
    as.envelopes.createScope({ scopeUid: randomUUID(), rootKey: on.rootKey, instanceUid: on.instanceUid }, o),
  'EnvelopeService/GetScope': (as, on, o) => as.envelopes.getScope({ name: on.scope }, o),
  'EnvelopeService/BatchGetScopes': (as, on, o) => as.envelopes.batchGetScopes({ names: [on.scope] }, o),
  'EnvelopeService/DestroyScope': (as, on, o) => as.envelopes.destroyScope({ name: on.doomed.scope }, o),
  'EnvelopeService/GenerateDek': (as, on, o) => as.envelopes.generateDek(dek(on), o),
  'EnvelopeService/UnwrapDek': (as, on, o) => as.envelopes.unwrapDek(dek(on), o),
  'EnvelopeService/WrapDek': (as, on, o) => as.envelopes.wrapDek({ ...dek(on), dek: Buffer.alloc(32, 1) }, o),
  'EnvelopeService/RewrapDek': (as, on, o) => as.envelopes.rewrapDek(rewrap(on), o),
  'EnvelopeService/BatchRewrapDeks': (as, on, o) => as.envelopes.batchRewrapDeks({ requests: [rewrap(on)] }, o),
  'EnvelopeService/BatchGenerateDeks': (as, on, o) => as.envelopes.batchGenerateDeks({ requests: [dek(on)] }, o),
  'EnvelopeService/BatchUnwrapDeks': (as, on, o) => as.envelopes.batchUnwrapDeks({ requests: [dek(on)] }, o),

  'ScopeService/RotateScopeKey': (as, on, o) => as.scopes.rotateScopeKey({ name: on.rotated, expectedVersion: 1 }, o),
  'ScopeService/DestroyScopeKeyVersion': (as, on, o) => as.scopes.destroyScopeKeyVersion({ name: on.rotated, version: 1 }, o),

  'AuditWriterService/AppendEvents': (as, _, o) => as.auditWriter.appendEvents({ events: [event()] }, o),
  'AuditService/ListEntries': (as, _, o) => as.auditLog.listEntries({ pageSize: 1 }, o),
  'AuditService/TailEntries': (as, _, o) => first(as.tailEntries({}, o)),
  'AuditService/GetLogStatistics': (as, _, o) => as.auditLog.getLogStatistics({}, o),
  'AuditService/GetEntry': (as, _, o) => as.auditLog.getEntry({ index: 0n }, o),
  'AuditService/GetCheckpoint': (as, _, o) => as.auditLog.getCheckpoint({}, o),
  'AuditService/GetConsistencyProof': (as, _, o) => as.auditLog.getConsistencyProof({}, o),
  'AuditService/ExportLog': (as, _, o) => first(as.exportLog({}, o)),
  'AuditService/GetInclusionProof': (as, _, o) => as.auditLog.getInclusionProof({ index: 0n }, o),
  ...AUDIT_ADMIN_CALLS,
};

const bindingOn = (scope: string) => Binding.fromPartial({ scope, principal: stranger, role: Role.READER });
const dek = ({ scope, context, wrappedDek }: Targets) => ({ scope, context, wrappedDek, callContext: undefined });
const rewrap = (on: Targets) => ({ ...dek(on), targetScope: '' });
