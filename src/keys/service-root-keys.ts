// The table of the key service, continued: key rings, root keys and grants.
import { GrantServiceService } from '../gen/strongroom/keys/v1/grant_service.ts';
import { KeyRingServiceService } from '../gen/strongroom/keys/v1/key_ring_service.ts';
import { KeyServiceService } from '../gen/strongroom/keys/v1/key_service.ts';
import { KeyVersionServiceService } from '../gen/strongroom/keys/v1/key_version_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration, type StreamLimits } from '../kernel/table.ts';
import type { Guarded, Permission } from './access.ts';
import { on, runWith } from './guarded.ts';
import type { Keys } from './keys.ts';
import { ALL, grantName, parseGrant, parseKeyRing, parseKeyVersion, parseRootKey, parseTarget, type KeyRingPath } from './names.ts';
import { approveRootKeyDeletion } from './rpc/approve-root-key-deletion.ts';
import { createGrant } from './rpc/create-grant.ts';
import { createKeyRing } from './rpc/create-key-ring.ts';
import { createRootKey } from './rpc/create-root-key.ts';
import { deleteGrant } from './rpc/delete-grant.ts';
import { deleteRootKey } from './rpc/delete-root-key.ts';
import { destroyRootKey } from './rpc/destroy-root-key.ts';
import { destroyRootKeyVersion } from './rpc/destroy-root-key-version.ts';
import { disableRootKey } from './rpc/disable-root-key.ts';
import { enableRootKey } from './rpc/enable-root-key.ts';
import { getGrant } from './rpc/get-grant.ts';
import { getKeyRing } from './rpc/get-key-ring.ts';
import { getMasterKeyStatus } from './rpc/get-master-key-status.ts';
import { getRootKey } from './rpc/get-root-key.ts';
import { getRootKeyRotation } from './rpc/get-root-key-rotation.ts';
import { getRootKeyVersion } from './rpc/get-root-key-version.ts';
import { listGrants } from './rpc/list-grants.ts';
import { listKeyRings } from './rpc/list-key-rings.ts';
import { listOwnGrants } from './rpc/list-own-grants.ts';
import { listRootKeyVersions } from './rpc/list-root-key-versions.ts';
import { listRootKeys } from './rpc/list-root-keys.ts';
import { restoreRootKey } from './rpc/restore-root-key.ts';
import { rotateMasterKey } from './rpc/rotate-master-key.ts';
import { rotateRootKey } from './rpc/rotate-root-key.ts';
import { updateKeyRing } from './rpc/update-key-ring.ts';
import { updateRootKey } from './rpc/update-root-key.ts';
import { watchRootKeyRotation } from './rpc/watch-root-key-rotation.ts';
import { withdrawRootKeyDeletionApproval } from './rpc/withdraw-root-key-deletion-approval.ts';

const watch: StreamLimits = { requestBytes: metadata.requestBytes, longestMs: 10 * 60_000 };

const everywhere = (permission: Permission, name: string): Guarded => ({ name, guard: { permission, target: ALL } });
const ring =
  (field: string) =>
  (name: string): KeyRingPath =>
    parseKeyRing(name, field);

export const rootKeyRegistrations = (keys: Keys): Registration[] => {
  const run = runWith(keys);
  return [
    register(KeyRingServiceService, {
      createKeyRing: {
        action: 'keys.keyring.create',
        resource: (r) => everywhere('manage', `keyRings/${r.keyRingId.slice(0, 100)}`),
        audit: 'write',
        facts: [],
        limits: metadata,
        handler: run(createKeyRing),
      },
      getKeyRing: {
        action: 'keys.keyring.read',
        resource: (r) => on('read', r.name, ring('name')),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getKeyRing),
      },
      listKeyRings: {
        action: 'keys.keyring.list',
        resource: () => everywhere('read', 'keyRings'),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listKeyRings),
      },
      updateKeyRing: {
        action: 'keys.keyring.update',
        resource: (r) => on('manage', r.keyRing?.name ?? '', ring('key_ring.name')),
        audit: 'write',
        facts: ['fields'],
        limits: metadata,
        handler: run(updateKeyRing),
      },
    }),
    register(KeyServiceService, {
      createRootKey: {
        action: 'keys.rootkey.create',
        resource: (r) => on(r.owner === '' ? 'manage' : 'provision', r.parent, ring('parent')),
        audit: 'write',
        facts: [],
        limits: metadata,
        handler: run(createRootKey),
      },
      getRootKey: {
        action: 'keys.rootkey.read',
        resource: (r) => on('read', r.name, parseRootKey),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getRootKey),
      },
      listRootKeys: {
        action: 'keys.rootkey.list',
        resource: (r) => on('read', r.parent, ring('parent')),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listRootKeys),
      },
      updateRootKey: {
        action: 'keys.rootkey.update',
        resource: (r) => on('manage', r.rootKey?.name ?? '', (name) => parseRootKey(name, 'root_key.name')),
        audit: 'write',
        facts: ['key', 'fields'],
        limits: metadata,
        handler: run(updateRootKey),
      },
      disableRootKey: {
        action: 'keys.rootkey.disable',
        resource: (r) => on('manage', r.name, parseRootKey),
        audit: 'write',
        facts: ['key'],
        limits: metadata,
        handler: run(disableRootKey),
      },
      enableRootKey: {
        action: 'keys.rootkey.enable',
        resource: (r) => on('manage', r.name, parseRootKey),
        audit: 'write',
        facts: ['key'],
        limits: metadata,
        handler: run(enableRootKey),
      },
      deleteRootKey: {
        action: 'keys.rootkey.delete',
        resource: (r) => on('manage', r.name, parseRootKey),
        audit: 'write',
        facts: ['key', 'force', 'reason', 'wait'],
        limits: metadata,
        handler: run(deleteRootKey),
      },
      restoreRootKey: {
        action: 'keys.rootkey.restore',
        resource: (r) => on('manage', r.name, parseRootKey),
        audit: 'write',
        facts: ['key'],
        limits: metadata,
        handler: run(restoreRootKey),
      },
      approveRootKeyDeletion: {
        action: 'keys.rootkey.approve',
        resource: (r) => on('manage', r.name, parseRootKey),
        audit: 'write',
        facts: ['key'],
        limits: metadata,
        handler: run(approveRootKeyDeletion),
      },
      withdrawRootKeyDeletionApproval: {
        action: 'keys.rootkey.withdraw',
        resource: (r) => on('manage', r.name, parseRootKey),
        audit: 'write',
        facts: ['key'],
        limits: metadata,
        handler: run(withdrawRootKeyDeletionApproval),
      },
      destroyRootKey: {
        action: 'keys.rootkey.destroy',
        resource: (r) => on('purge', r.name, parseRootKey),
        audit: 'write',
        facts: ['key'],
        limits: metadata,
        handler: run(destroyRootKey),
      },
      getMasterKeyStatus: {
        action: 'keys.masterkey.read',
        resource: () => everywhere('read', 'masterKeys'),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getMasterKeyStatus),
      },
      rotateMasterKey: {
        action: 'keys.masterkey.rotate',
        resource: () => everywhere('manage', 'masterKeys'),
        audit: 'write',
        facts: ['masterKey', 'previous'],
        limits: metadata,
        handler: run(rotateMasterKey),
      },
    }),
    register(KeyVersionServiceService, {
      rotateRootKey: {
        action: 'keys.rootkey.rotate',
        resource: (r) => on('manage', r.name, parseRootKey),
        audit: 'write',
        facts: ['key', 'version'],
        limits: metadata,
        handler: run(rotateRootKey),
      },
      getRootKeyVersion: {
        action: 'keys.version.read',
        resource: (r) => on('read', r.name, parseKeyVersion),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getRootKeyVersion),
      },
      listRootKeyVersions: {
        action: 'keys.version.list',
        resource: (r) => on('read', r.parent, (name) => parseRootKey(name, 'parent')),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listRootKeyVersions),
      },
      destroyRootKeyVersion: {
        action: 'keys.version.destroy',
        resource: (r) => on('manage', r.name, parseKeyVersion),
        audit: 'write',
        facts: ['key', 'version'],
        limits: metadata,
        handler: run(destroyRootKeyVersion),
      },
      getRootKeyRotation: {
        action: 'keys.rotation.read',
        resource: (r) => on('read', r.name, parseRootKey),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getRootKeyRotation),
      },
      watchRootKeyRotation: {
        action: 'keys.rotation.watch',
        resource: (r) => on('read', r.name, parseRootKey),
        audit: 'read',
        facts: [],
        limits: watch,
        handler: run(watchRootKeyRotation),
      },
    }),
    register(GrantServiceService, {
      createGrant: {
        action: 'keys.grant.create',
        resource: (r) => on('manage', r.grant?.target ?? '', (name) => parseTarget(name, 'grant.target')),
        audit: 'write',
        facts: ['principal', 'role', 'instance', 'grant'],
        limits: metadata,
        handler: run(createGrant),
      },
      getGrant: {
        action: 'keys.grant.read',
        resource: (r) => everywhere('read', grantName(parseGrant(r.name))),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getGrant),
      },
      listGrants: {
        action: 'keys.grant.list',
        resource: (r) => on('read', r.target, parseTarget),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listGrants),
      },
      listOwnGrants: {
        action: 'keys.grant.list',
        resource: () => ({ name: 'grants' }),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listOwnGrants),
      },
      deleteGrant: {
        action: 'keys.grant.delete',
        resource: (r) => on('manage', r.target, parseTarget),
        audit: 'write',
        facts: ['principal', 'role', 'instance', 'grant'],
        limits: metadata,
        handler: run(deleteGrant),
      },
    }),
  ];
};
