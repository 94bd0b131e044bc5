// The calls about customers' root keys: key rings, their keys' life cycle, and grants.
import { Grant, Role } from '../../src/gen/strongroom/keys/v1/grant_service.ts';
import { KeyRing } from '../../src/gen/strongroom/keys/v1/key_ring_service.ts';
import { RootKey } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import type { Clients, Options } from '../support/clients.ts';
import { spiffe } from '../support/identities.ts';
import { newId } from '../support/tenants.ts';

export interface KeyTargets {
  ring: string;
  /** Root keys in the ring, by the call that wants them. */
  key: { any: string; disable: string; enable: string; delete: string; restore: string; approve: string; rotated: string };
  grant: { kept: string; doomed: string };
}

export const makeKeyTargets = async (operator: Clients): Promise<KeyTargets> => {
  const { name: ring } = await operator.keyRings.createKeyRing({ keyRingId: newId('ring') });
  const newKey = async (rootKeyId: string, content: Partial<RootKey> = {}) =>
    (await operator.keys.createRootKey({ parent: ring, rootKeyId, rootKey: RootKey.fromPartial(content) })).name;
  const key = {
    any: await newKey('any'),
    disable: await newKey('disable'),
    enable: await newKey('enable'),
    delete: await newKey('delete'),
    restore: await newKey('restore'),
    rotated: await newKey('rotated'),
    approve: await newKey('approve', { dualAuthorization: true }),
  };
  await operator.keyVersions.rotateRootKey({ name: key.rotated, primaryVersion: 1 });
  await operator.keys.disableRootKey({ name: key.enable });
  await operator.keys.deleteRootKey({ name: key.restore });
  const grant = (path: string) => Grant.fromPartial({ principal: spiffe(path), role: Role.READER, target: ring });
  const [kept, doomed] = [
    await operator.grants.createGrant({ grant: grant('kept') }),
    await operator.grants.createGrant({ grant: grant('doomed') }),
  ];
  return { ring, key, grant: { kept: kept.name, doomed: doomed.name } };
};

type MakeCall = (as: Clients, on: KeyTargets, options: Options) => Promise<unknown>;

/** By service and method. */
export const KEY_CALLS: Readonly<Record<string, MakeCall>> = {
  'KeyRingService/CreateKeyRing': (as, _, o) => as.keyRings.createKeyRing({ keyRingId: newId('ring') }, o),
  'KeyRingService/GetKeyRing': (as, on, o) => as.keyRings.getKeyRing({ name: on.ring }, o),
  'KeyRingService/ListKeyRings': (as, _, o) => as.keyRings.listKeyRings({}, o),
  'KeyRingService/UpdateKeyRing': (as, on, o) =>
    as.keyRings.updateKeyRing({ keyRing: KeyRing.fromPartial({ name: on.ring, displayName: 'new' }) }, o),

  'KeyService/ListRootKeys': (as, on, o) => as.keys.listRootKeys({ parent: on.ring }, o),
  'KeyService/UpdateRootKey': (as, on, o) =>
    as.keys.updateRootKey({ rootKey: RootKey.fromPartial({ name: on.key.any, displayName: 'new' }) }, o),
  'KeyService/DisableRootKey': (as, on, o) => as.keys.disableRootKey({ name: on.key.disable }, o),
  'KeyService/EnableRootKey': (as, on, o) => as.keys.enableRootKey({ name: on.key.enable }, o),
  'KeyService/DeleteRootKey': (as, on, o) => as.keys.deleteRootKey({ name: on.key.delete }, o),
  'KeyService/RestoreRootKey': (as, on, o) => as.keys.restoreRootKey({ name: on.key.restore }, o),
  'KeyService/ApproveRootKeyDeletion': (as, on, o) => as.keys.approveRootKeyDeletion({ name: on.key.approve }, o),
  'KeyService/WithdrawRootKeyDeletionApproval': (as, on, o) => as.keys.withdrawRootKeyDeletionApproval({ name: on.key.approve }, o),

  'KeyVersionService/RotateRootKey': (as, on, o) => as.keyVersions.rotateRootKey({ name: on.key.any, primaryVersion: 1 }, o),
  'KeyVersionService/GetRootKeyVersion': (as, on, o) => as.keyVersions.getRootKeyVersion({ name: `${on.key.any}/versions/1` }, o),
  'KeyVersionService/ListRootKeyVersions': (as, on, o) => as.keyVersions.listRootKeyVersions({ parent: on.key.any }, o),
  'KeyVersionService/DestroyRootKeyVersion': (as, on, o) =>
    as.keyVersions.destroyRootKeyVersion({ name: `${on.key.rotated}/versions/1` }, o),
  'KeyVersionService/GetRootKeyRotation': (as, on, o) => as.keyVersions.getRootKeyRotation({ name: on.key.any }, o),
  'KeyVersionService/WatchRootKeyRotation': (as, on, o) => Array.fromAsync(as.watchRotation({ name: on.key.any }, o)),

  'GrantService/CreateGrant': (as, on, o) =>
    as.grants.createGrant({ grant: Grant.fromPartial({ principal: spiffe(newId('new')), role: Role.READER, target: on.ring }) }, o),
  'GrantService/GetGrant': (as, on, o) => as.grants.getGrant({ name: on.grant.kept }, o),
  'GrantService/ListGrants': (as, on, o) => as.grants.listGrants({ target: on.ring }, o),
  'GrantService/ListOwnGrants': (as, _, o) => as.grants.listOwnGrants({}, o),
  'GrantService/DeleteGrant': (as, on, o) => as.grants.deleteGrant({ name: on.grant.doomed, target: on.ring }, o),
};
