// Rows as messages.
import { Binding, Role as RoleMessage } from '../gen/strongroom/secrets/v1/binding_service.ts';
import { Hold } from '../gen/strongroom/secrets/v1/hold_service.ts';
import { Instance, Instance_KeyState, Instance_State } from '../gen/strongroom/secrets/v1/instance_service.ts';
import { Purge, Purge_State, QueueStatus } from '../gen/strongroom/secrets/v1/purge_service.ts';
import {
  SecretGroup,
  SecretGroup_State,
  SecretGroupKeyRotation,
  SecretGroupKeyRotation_State,
} from '../gen/strongroom/secrets/v1/secret_group_service.ts';
import type { SecretLock } from '../gen/strongroom/secrets/v1/secret_lock_service.ts';
import {
  Secret,
  Secret_State,
  SecretPayload_Kind,
  SecretUsage,
  SecretVersion,
  SecretVersion_State,
} from '../gen/strongroom/secrets/v1/secret_service.ts';
import { SecretType } from '../gen/strongroom/secrets/v1/secret_types.ts';
import { SecretEvent, SecretEvent_Type } from '../gen/strongroom/secrets/v1/secret_watch_service.ts';
import { etagOf } from '../kernel/etag.ts';
import { durationOf } from '../kernel/fields.ts';
import { aliasesOf } from './aliases.ts';
import { EFFECTS } from './hold.ts';
import { toKeepPolicy } from './keep-policy.ts';
import { UNREADABLE } from './key-state.ts';
import type { GroupPath, ResourceId, SecretPath } from './names.ts';
import { groupName, holdName, lockName, instanceName, secretName, versionName } from './names.ts';
import { toRotation } from './rotation-policy.ts';
import type { BindingRow } from './sql/bindings.ts';
import type { ChangeRow } from './sql/changes.ts';
import type { HoldRow } from './sql/holds.ts';
import type { InstanceRow } from './sql/instances.ts';
import type { PurgeRow, QueueRow } from './sql/purges.ts';
import type { RekeyRow } from './sql/rekeys.ts';
import type { UsageRow } from './sql/secret-accesses.ts';
import type { GroupRow } from './sql/secret-groups.ts';
import type { VersionRow } from './sql/secret-versions.ts';
import type { SecretRow, ShownSecret } from './sql/secrets.ts';
import type { LockRow } from './sql/version-locks.ts';
import { type Lifecycle } from './state.ts';
import { TYPES } from './types/types.ts';

// What comes from the database was parsed on its way in.
const id = (text: string) => text as ResourceId;
export const pathOf = (row: Pick<SecretRow, 'instance_id' | 'group_id' | 'secret_id'>): SecretPath => ({
  instance: id(row.instance_id),
  group: id(row.group_id),
  secret: id(row.secret_id),
});

const times = (row: Lifecycle) => ({
  createTime: row.create_time,
  updateTime: row.update_time,
  deleteTime: row.delete_time ?? undefined,
  purgeTime: row.purge_time ?? undefined,
});
const levelOf = (seconds: number | null) => (seconds === null ? undefined : durationOf(seconds));
const mapOf = (object: Record<string, string>) => new Map(Object.entries(object));

export const toInstance = (row: InstanceRow): Instance => ({
  name: instanceName({ instance: id(row.instance_id) }),
  uid: row.instance_uid,
  state: Instance_State[row.state],
  displayName: row.display_name,
  labels: mapOf(row.labels),
  retention: durationOf(row.retention_seconds),
  retentionPolicy: {
    instance: levelOf(row.instance_retention_seconds),
    group: levelOf(row.group_retention_seconds),
    secret: levelOf(row.secret_retention_seconds),
    version: levelOf(row.version_retention_seconds),
  },
  purgeProtection: row.purge_protection,
  allowedNetworks: row.allowed_networks,
  rootKey: row.root_key,
  keyState: Instance_KeyState[row.key_state],
  keyStateTime: row.key_state_time,
  unreadableReason: UNREADABLE[row.key_state],
  etag: etagOf(row.instance_uid, row.revision),
  ...times(row),
});

export const toGroup = (row: GroupRow): SecretGroup => ({
  name: groupName({ instance: id(row.instance_id), group: id(row.group_id) }),
  uid: row.group_uid,
  state: SecretGroup_State[row.state],
  displayName: row.display_name,
  labels: mapOf(row.labels),
  etag: etagOf(row.group_uid, row.revision),
  keyVersion: row.key_version,
  keepPolicy: toKeepPolicy(row.keep_policy),
  ...times(row),
});

export const toRekey = (row: RekeyRow): SecretGroupKeyRotation => ({
  secretGroup: groupName({ instance: id(row.instance_id), group: id(row.group_id) }),
  state: SecretGroupKeyRotation_State[row.state],
  keyVersion: row.new_version ?? 0,
  totalCount: row.total,
  doneCount: row.done,
  startTime: row.start_time,
  endTime: row.end_time ?? undefined,
  startedBy: row.started_by,
  lastError: row.last_error,
  destroyTime: row.is_waiting ? row.due_time : undefined,
});

export const toSecret = (row: ShownSecret): Secret => ({
  name: secretName(pathOf(row)),
  uid: row.secret_uid,
  state: Secret_State[row.state],
  description: row.description,
  labels: mapOf(row.labels),
  annotations: mapOf(row.annotations),
  latestVersion: row.latest_version,
  versionAliases: new Map(Object.entries(row.version_aliases)),
  keepPolicy: toKeepPolicy(row.keep_policy),
  usage: undefined,
  etag: etagOf(row.secret_uid, row.revision),
  type: SecretType[row.type],
  expiration: row.expire_time ? { $case: 'expireTime', value: row.expire_time } : undefined,
  rotation: toRotation(row),
  ...times(row),
});

export const toUsage = (row: UsageRow): SecretUsage => ({
  accessCount: row.accesses,
  lastAccessTime: row.last_access_time ?? undefined,
  versionCount: row.versions,
});

export const toVersion = (secret: SecretRow, row: VersionRow): SecretVersion => ({
  name: versionName(pathOf(secret), row.version),
  state: SecretVersion_State[row.state],
  sizeBytes: row.size_bytes,
  kind: SecretPayload_Kind[row.kind],
  clientSpecifiedCrc32c: row.client_specified_crc32c,
  etag: etagOf(secret.secret_uid, row.revision),
  aliases: aliasesOf(secret, row.version),
  copiedFromVersion: row.copied_from ?? 0,
  createTime: row.create_time,
  destroyTime: row.destroy_time ?? undefined,
  purgeTime: row.purge_time ?? undefined,
  expireTime: row.expire_time ?? undefined,
  ...(row.details && TYPES[secret.type].tell?.(row.details)),
});

/** As it is told to who watches this group. */
export const toSecretEvent = (path: GroupPath, row: ChangeRow): SecretEvent => ({
  type: SecretEvent_Type[row.kind],
  name:
    row.secret_id === null
      ? row.group_uid === null
        ? instanceName(path)
        : groupName(path)
      : secretName({ ...path, secret: id(row.secret_id) }),
  uid: row.secret_uid ?? '',
  version: row.version ?? 0,
  changeTime: row.create_time,
});

export const toBinding = (row: BindingRow): Binding => ({
  scope: row.scope,
  principal: row.principal,
  role: RoleMessage[row.role],
  createTime: row.create_time,
});

export const toPurge = (row: PurgeRow): Purge => ({
  name: `purges/${row.uid}`,
  resource: row.resource,
  state: Purge_State[row.state],
  scopeKeysDestroyedCount: row.scope_keys_destroyed,
  versionsRemovedCount: row.versions_removed,
  secretsRemovedCount: row.secrets_removed,
  groupsRemovedCount: row.groups_removed,
  deleteTime: row.delete_time,
  purgeTime: row.purge_time,
  startTime: row.start_time ?? undefined,
  keysDestroyedTime: row.keys_destroyed_time ?? undefined,
  endTime: row.end_time ?? undefined,
  deletedBy: row.deleted_by,
  auditIndex: row.audit_index ?? undefined,
  receipt: row.receipt ?? '',
  lastError: row.last_error,
  holds: row.holds,
  estimatedRowsCount: row.rows_estimated,
  rowsPerSecond: row.rows_per_second,
  estimatedEndTime: row.estimated_end_time ?? undefined,
});

export const toQueueStatus = (row: QueueRow): QueueStatus => ({
  scheduledCount: row.scheduled,
  dueCount: row.due,
  heldCount: row.held,
  runningCount: row.running,
  failedCount: row.failed,
  activeCount: row.active,
  lag: durationOf(Math.floor(row.lag_seconds)),
});

export const toLock = (secret: SecretRow, row: LockRow): SecretLock => ({
  name: lockName(versionName(pathOf(secret), row.version), row.lock_id),
  description: row.description,
  attributes: mapOf(row.attributes),
  rotationGuard: row.rotation_guard,
  createdBy: row.created_by,
  createTime: row.create_time,
});

export const toHold = (row: HoldRow): Hold => ({
  name: holdName(row.resource, row.hold_id),
  effect: EFFECTS[row.effect],
  reason: row.reason,
  createdBy: row.created_by,
  createTime: row.create_time,
});
