// The table's part about versions: what they are called, and what locks them.
import { CreateSecretLockRequest_Mode as Mode, SecretLockServiceService } from '../gen/strongroom/secrets/v1/secret_lock_service.ts';
import { SecretVersionAliasServiceService } from '../gen/strongroom/secrets/v1/secret_version_alias_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration } from '../kernel/table.ts';
import { on, runWith } from './guarded.ts';
import type { Scope } from './access.ts';
import { parseLocked } from './lock.ts';
import { parseLock, parseSecret, parseVersion } from './names.ts';
import { createSecretLock } from './rpc/create-secret-lock.ts';
import { deleteSecretLock } from './rpc/delete-secret-lock.ts';
import { deleteSecretLocks } from './rpc/delete-secret-locks.ts';
import { deleteVersionAlias } from './rpc/delete-version-alias.ts';
import { listSecretLocks } from './rpc/list-secret-locks.ts';
import { setVersionAlias } from './rpc/set-version-alias.ts';
import type { Store } from './store.ts';

const inVersion = (parent: string): Scope => parseVersion(parent, 'parent');
const inLocked = (parent: string): Scope => parseLocked(parent, 'parent');

export const versionRegistrations = (store: Store): Registration[] => {
  const run = runWith(store);
  return [
    register(SecretVersionAliasServiceService, {
      setVersionAlias: {
        action: 'secrets.alias.set',
        resource: (r) => on('write', r.name, parseSecret),
        audit: 'write',
        facts: ['alias', 'version', 'versionBefore'],
        limits: metadata,
        handler: run(setVersionAlias),
      },
      deleteVersionAlias: {
        action: 'secrets.alias.delete',
        resource: (r) => on('write', r.name, parseSecret),
        audit: 'write',
        facts: ['alias', 'versionBefore'],
        limits: metadata,
        handler: run(deleteVersionAlias),
      },
    }),
    register(SecretLockServiceService, {
      createSecretLock: {
        action: 'secrets.lock.create',
        resource: (r) => on(r.mode === Mode.REMOVE_OLDER_AND_DESTROY ? 'manage' : 'write', r.parent, inVersion),
        audit: 'write',
        facts: ['version', 'count'],
        limits: metadata,
        handler: run(createSecretLock),
      },
      listSecretLocks: {
        action: 'secrets.lock.list',
        resource: (r) => on('read', r.parent, inLocked),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listSecretLocks),
      },
      deleteSecretLock: {
        action: 'secrets.lock.delete',
        resource: (r) => on('write', r.name, (name) => parseLock(name).version),
        audit: 'write',
        facts: ['version'],
        limits: metadata,
        handler: run(deleteSecretLock),
      },
      deleteSecretLocks: {
        action: 'secrets.lock.delete',
        resource: (r) => on('write', r.parent, inLocked),
        audit: 'write',
        facts: ['count'],
        limits: metadata,
        handler: run(deleteSecretLocks),
      },
    }),
  ];
};
