// The table's part about groups, and how their keys are replaced.
import { SecretGroupServiceService } from '../gen/strongroom/secrets/v1/secret_group_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration } from '../kernel/table.ts';
import type { Scope } from './access.ts';
import { below, on, runWith, WATCH_LIMITS as watch } from './guarded.ts';
import { parseGroup, parseInstance } from './names.ts';
import { createSecretGroup } from './rpc/create-secret-group.ts';
import { deleteSecretGroup } from './rpc/delete-secret-group.ts';
import { getSecretGroupKeyRotation } from './rpc/get-secret-group-key-rotation.ts';
import { getSecretGroup } from './rpc/get-secret-group.ts';
import { listSecretGroups } from './rpc/list-secret-groups.ts';
import { rotateSecretGroupKey } from './rpc/rotate-secret-group-key.ts';
import { undeleteSecretGroup } from './rpc/undelete-secret-group.ts';
import { updateSecretGroup } from './rpc/update-secret-group.ts';
import { watchSecretGroupKeyRotation } from './rpc/watch-secret-group-key-rotation.ts';
import type { Store } from './store.ts';

const inInstance = (parent: string): Scope => parseInstance(parent, 'parent');

export const groupRegistration = (store: Store): Registration => {
  const run = runWith(store);
  return register(SecretGroupServiceService, {
    createSecretGroup: {
      action: 'secrets.group.create',
      resource: (r) => on('manage', r.parent, inInstance),
      audit: 'write',
      facts: [],
      limits: metadata,
      handler: run(createSecretGroup),
    },
    getSecretGroup: {
      action: 'secrets.group.read',
      resource: (r) => on('read', r.name, parseGroup),
      audit: 'read',
      facts: [],
      limits: metadata,
      handler: run(getSecretGroup),
    },
    listSecretGroups: {
      action: 'secrets.group.list',
      resource: (r) => below('read', r.parent, inInstance(r.parent)),
      audit: 'read',
      facts: [],
      limits: metadata,
      handler: run(listSecretGroups),
    },
    updateSecretGroup: {
      action: 'secrets.group.update',
      resource: (r) => on('manage', r.secretGroup?.name ?? '', parseGroup),
      audit: 'write',
      facts: ['fields'],
      limits: metadata,
      handler: run(updateSecretGroup),
    },
    deleteSecretGroup: {
      action: 'secrets.group.delete',
      resource: (r) => on('manage', r.name, parseGroup),
      audit: 'write',
      facts: ['purge'],
      limits: metadata,
      handler: run(deleteSecretGroup),
    },
    undeleteSecretGroup: {
      action: 'secrets.group.undelete',
      resource: (r) => on('manage', r.name, parseGroup),
      audit: 'write',
      facts: [],
      limits: metadata,
      handler: run(undeleteSecretGroup),
    },
    rotateSecretGroupKey: {
      action: 'secrets.group.rekey.start',
      resource: (r) => on('manage', r.name, parseGroup),
      audit: 'write',
      facts: [],
      limits: metadata,
      handler: run(rotateSecretGroupKey),
    },
    getSecretGroupKeyRotation: {
      action: 'secrets.rekey.read',
      resource: (r) => on('read', r.name, parseGroup),
      audit: 'read',
      facts: [],
      limits: metadata,
      handler: run(getSecretGroupKeyRotation),
    },
    watchSecretGroupKeyRotation: {
      action: 'secrets.rekey.watch',
      resource: (r) => on('read', r.name, parseGroup),
      audit: 'read',
      facts: [],
      limits: watch,
      handler: run(watchSecretGroupKeyRotation),
    },
  });
};
