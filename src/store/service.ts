// THE table of the secret store: every RPC with its action, what it acts on and which right it needs there, when its audit
// entry becomes durable, its limits, and its handler. Start reading here; groups are in service-groups.ts, aliases and locks of
// versions in service-versions.ts, what watches and moves secrets in service-organisation.ts, holds and purges in service-deletion.ts.
import { BindingServiceService } from '../gen/strongroom/secrets/v1/binding_service.ts';
import { InstanceServiceService } from '../gen/strongroom/secrets/v1/instance_service.ts';
import { SecretAccessServiceService } from '../gen/strongroom/secrets/v1/secret_access_service.ts';
import { SecretServiceService } from '../gen/strongroom/secrets/v1/secret_service.ts';
import { METADATA_LIMITS as metadata, register, type Limits, type Registration } from '../kernel/table.ts';
import type { Guarded, Permission, Scope } from './access.ts';
import { parseScope, requireBinding } from './binding.ts';
import { namesExpiration } from './expiration.ts';
import { below, on, runWith, self, system } from './guarded.ts';
import { namesPolicy } from './keep-policy.ts';
import { parseGroups } from './listing.ts';
import { parseGroup, parseInstance, parseSecret, parseVersion } from './names.ts';
import { accessSecretVersion } from './rpc/access-secret-version.ts';
import { addSecretVersion } from './rpc/add-secret-version.ts';
import { batchAccess } from './rpc/batch-access.ts';
import { createBinding } from './rpc/create-binding.ts';
import { createInstance } from './rpc/create-instance.ts';
import { createSecret } from './rpc/create-secret.ts';
import { deleteBinding } from './rpc/delete-binding.ts';
import { deleteInstance } from './rpc/delete-instance.ts';
import { deleteSecret } from './rpc/delete-secret.ts';
import { destroySecretVersion } from './rpc/destroy-secret-version.ts';
import { disableSecretVersion } from './rpc/disable-secret-version.ts';
import { enableSecretVersion } from './rpc/enable-secret-version.ts';
import { getInstance } from './rpc/get-instance.ts';
import { getSecretVersion } from './rpc/get-secret-version.ts';
import { getSecret } from './rpc/get-secret.ts';
import { listBindings } from './rpc/list-bindings.ts';
import { listInstances } from './rpc/list-instances.ts';
import { listSecretVersions } from './rpc/list-secret-versions.ts';
import { listSecrets } from './rpc/list-secrets.ts';
import { rollbackSecret } from './rpc/rollback-secret.ts';
import { restoreSecretVersion } from './rpc/restore-secret-version.ts';
import { undeleteInstance } from './rpc/undelete-instance.ts';
import { undeleteSecret } from './rpc/undelete-secret.ts';
import { updateInstance } from './rpc/update-instance.ts';
import { updateSecret } from './rpc/update-secret.ts';
import { authorizationRegistration } from './service-authorization.ts';
import { deletionRegistrations } from './service-deletion.ts';
import { groupRegistration } from './service-groups.ts';
import { limitRegistration } from './service-limits.ts';
import { organisationRegistrations } from './service-organisation.ts';
import { rotationRegistration } from './service-rotation.ts';
import { versionRegistrations } from './service-versions.ts';
import type { Store } from './store.ts';

/** A payload of 1 MiB with names and metadata around it. */
const payload: Limits = { requestBytes: 1024 * 1024 + 192 * 1024, deadlineMs: 10_000 };
/** 1,000 names with their etags. */
const batch: Limits = { requestBytes: 512 * 1024, deadlineMs: 10_000 };

const inGroup = (parent: string): Scope => parseGroup(parent, 'parent');
const inGroups = (permission: Permission, parent: string): Guarded => {
  const scope = parseGroups(parent);
  return 'group' in scope ? on(permission, parent, () => scope) : below(permission, parent, scope);
};
const inScope = (scope: string): Scope => parseScope(scope, 'scope');

export const registrations = (store: Store): Registration[] => {
  const run = runWith(store);
  return [
    register(InstanceServiceService, {
      createInstance: {
        action: 'secrets.instance.create',
        resource: (r) => system('manage', `instances/${r.instanceId.slice(0, 100)}`),
        audit: 'write',
        facts: [],
        limits: metadata,
        handler: run(createInstance),
      },
      getInstance: {
        action: 'secrets.instance.read',
        resource: (r) => on('read', r.name, parseInstance),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getInstance),
      },
      listInstances: {
        action: 'secrets.instance.list',
        resource: () => below('read', 'instances', 'system'),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listInstances),
      },
      updateInstance: {
        action: 'secrets.instance.update',
        resource: (r) => on('manage', r.instance?.name ?? '', parseInstance),
        audit: 'write',
        facts: ['fields'],
        limits: metadata,
        handler: run(updateInstance),
      },
      deleteInstance: {
        action: 'secrets.instance.delete',
        resource: (r) => on('manage', r.name, parseInstance),
        audit: 'write',
        facts: ['purge'],
        limits: metadata,
        handler: run(deleteInstance),
      },
      undeleteInstance: {
        action: 'secrets.instance.undelete',
        resource: (r) => on('manage', r.name, parseInstance),
        audit: 'write',
        facts: [],
        limits: metadata,
        handler: run(undeleteInstance),
      },
    }),
    groupRegistration(store),
    register(SecretServiceService, {
      createSecret: {
        action: 'secrets.secret.create',
        resource: (r) => on(r.secret?.keepPolicy ? 'manage' : 'write', r.parent, inGroup),
        audit: 'write',
        facts: ['version', 'expireTime'],
        data: true,
        limits: payload,
        handler: run(createSecret),
      },
      getSecret: {
        action: 'secrets.secret.read',
        resource: (r) => on('read', r.name, parseSecret),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getSecret),
      },
      listSecrets: {
        action: 'secrets.secret.list',
        resource: (r) => inGroups('read', r.parent),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listSecrets),
      },
      updateSecret: {
        action: 'secrets.secret.update',
        // What destroys takes the right to delete.
        resource: (r) =>
          on(namesExpiration(r.updateMask) || namesPolicy(r.updateMask) ? 'manage' : 'write', r.secret?.name ?? '', parseSecret),
        audit: 'write',
        facts: ['fields', 'expireTime'],
        limits: metadata,
        handler: run(updateSecret),
      },
      deleteSecret: {
        action: 'secrets.secret.delete',
        resource: (r) => on('manage', r.name, parseSecret),
        audit: 'write',
        facts: ['purge'],
        limits: metadata,
        handler: run(deleteSecret),
      },
      undeleteSecret: {
        action: 'secrets.secret.undelete',
        resource: (r) => on('manage', r.name, parseSecret),
        audit: 'write',
        facts: [],
        limits: metadata,
        handler: run(undeleteSecret),
      },
      addSecretVersion: {
        action: 'secrets.version.create',
        resource: (r) => on('write', r.parent, (name) => parseSecret(name, 'parent'), r.onlyIfChanged ? 'access' : undefined),
        audit: 'write',
        facts: ['version', 'expireTime', 'unchanged'],
        data: true,
        limits: payload,
        handler: run(addSecretVersion),
      },
      rollbackSecret: {
        action: 'secrets.secret.rollback',
        resource: (r) => on('write', r.name, parseSecret),
        audit: 'write',
        facts: ['version', 'copiedFrom'],
        data: true,
        limits: metadata,
        handler: run(rollbackSecret),
      },
      getSecretVersion: {
        action: 'secrets.version.read',
        resource: (r) => on('read', r.name, parseVersion),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getSecretVersion),
      },
      listSecretVersions: {
        action: 'secrets.version.list',
        resource: (r) => on('read', r.parent, (name) => parseSecret(name, 'parent')),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listSecretVersions),
      },
      enableSecretVersion: {
        action: 'secrets.version.enable',
        resource: (r) => on('write', r.name, parseVersion),
        audit: 'write',
        facts: ['version'],
        limits: metadata,
        handler: run(enableSecretVersion),
      },
      disableSecretVersion: {
        action: 'secrets.version.disable',
        resource: (r) => on('write', r.name, parseVersion),
        audit: 'write',
        facts: ['version'],
        limits: metadata,
        handler: run(disableSecretVersion),
      },
      destroySecretVersion: {
        action: 'secrets.version.destroy',
        resource: (r) => on('manage', r.name, parseVersion),
        audit: 'write',
        facts: ['version', 'purge'],
        limits: metadata,
        handler: run(destroySecretVersion),
      },
      restoreSecretVersion: {
        action: 'secrets.version.restore',
        resource: (r) => on('manage', r.name, parseVersion),
        audit: 'write',
        facts: ['version'],
        limits: metadata,
        handler: run(restoreSecretVersion),
      },
    }),
    rotationRegistration(store),
    register(SecretAccessServiceService, {
      accessSecretVersion: {
        action: 'secrets.version.access',
        resource: (r) => on('access', r.name, parseVersion),
        audit: 'read',
        facts: ['version', 'notModified'],
        data: true,
        limits: metadata,
        handler: run(accessSecretVersion),
      },
      // The handler asks for the right to each.
      batchAccess: {
        action: 'secrets.version.access',
        resource: () => self('secrets'),
        audit: 'read',
        facts: ['version', 'notModified'],
        data: true,
        limits: batch,
        handler: run(batchAccess),
      },
    }),
    register(BindingServiceService, {
      createBinding: {
        action: 'secrets.binding.create',
        resource: (r) => on('manage', requireBinding(r.binding).scope, inScope),
        audit: 'write',
        facts: ['principal', 'role'],
        limits: metadata,
        handler: run(createBinding),
      },
      listBindings: {
        action: 'secrets.binding.list',
        resource: (r) => on('manage', r.scope, inScope),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listBindings),
      },
      deleteBinding: {
        action: 'secrets.binding.delete',
        resource: (r) => on('manage', requireBinding(r.binding).scope, inScope),
        audit: 'write',
        facts: ['principal', 'role'],
        limits: metadata,
        handler: run(deleteBinding),
      },
    }),
    ...versionRegistrations(store),
    ...organisationRegistrations(store),
    authorizationRegistration(store),
    limitRegistration(store),
    ...deletionRegistrations(store),
  ];
};
