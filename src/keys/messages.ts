// Rows as messages.
import { Role, type Grant } from '../gen/strongroom/keys/v1/grant_service.ts';
import { Scope, Scope_State } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { KeyEvent, KeyEvent_Change } from '../gen/strongroom/keys/v1/key_event_service.ts';
import { ImportJob, ImportJob_State } from '../gen/strongroom/keys/v1/import_service.ts';
import type { KeyRing } from '../gen/strongroom/keys/v1/key_ring_service.ts';
import { RootKey, RootKey_Origin, RootKey_State } from '../gen/strongroom/keys/v1/key_service.ts';
import {
  RootKeyRotation,
  RootKeyRotation_State,
  RootKeyVersion,
  RootKeyVersion_State,
} from '../gen/strongroom/keys/v1/key_version_service.ts';
import type { Registration } from '../gen/strongroom/keys/v1/registration_service.ts';
import { APPROVAL_MS } from './approval.ts';
import { grantName, importJobName, keyEventName, keyRingName, keyVersionName, rootKeyName, scopeName } from './names.ts';
import type { GrantRow } from './sql/grants.ts';
import type { ImportJobRow } from './sql/import-jobs.ts';
import type { KeyEventRow } from './sql/key-events.ts';
import type { KeyRingRow } from './sql/key-rings.ts';
import type { RegistrationRow } from './sql/registrations.ts';
import type { RootKeyRow } from './sql/root-keys.ts';
import type { RotationRow } from './sql/rotation.ts';
import type { ScopeRow } from './sql/scopes.ts';
import type { KeyVersionRow } from './sql/versions.ts';
import { etagOf } from '../kernel/etag.ts';
import { durationOf } from '../kernel/fields.ts';
import { refusal } from './state.ts';

const labelsOf = (labels: Readonly<Record<string, string>>) => new Map(Object.entries(labels));

export const toKeyRing = (row: KeyRingRow): KeyRing => ({
  name: keyRingName({ keyRing: row.key_ring }),
  displayName: row.display_name,
  description: row.description,
  labels: labelsOf(row.labels),
  etag: etagOf(row.ring_uid, row.revision),
  createTime: row.create_time,
  updateTime: row.update_time,
});

export const toRootKey = (row: RootKeyRow): RootKey => ({
  name: rootKeyName({ keyRing: row.key_ring, key: row.key_id }),
  uid: row.key_uid,
  state: RootKey_State[row.state],
  primaryVersion: row.primary_version,
  owner: row.owner ?? '',
  scopeCount: row.scope_count,
  createTime: row.create_time,
  destroyTime: row.destroy_time ?? undefined,
  displayName: row.display_name,
  description: row.description,
  labels: labelsOf(row.labels),
  aliases: row.aliases,
  etag: etagOf(row.key_uid, row.revision),
  updateTime: row.update_time,
  expireTime: row.expire_time ?? undefined,
  deleteTime: row.delete_time ?? undefined,
  purgeTime: row.purge_time ?? undefined,
  origin: RootKey_Origin[row.origin],
  dualAuthorization: row.dual_authorization,
  deletionApproval:
    row.approved_by !== null && row.approve_time
      ? {
          principal: row.approved_by,
          createTime: row.approve_time,
          expireTime: new Date(row.approve_time.getTime() + APPROVAL_MS),
        }
      : undefined,
  rotationPolicy: row.rotation_seconds === null ? undefined : { interval: durationOf(row.rotation_seconds) },
  nextRotationTime: row.next_rotation_time ?? undefined,
  importedVersions: row.imported_versions.map(({ version, present, expire_time: time }) => ({
    version,
    present,
    expireTime: time === null ? undefined : new Date(time),
  })),
});

export const toImportJob = (row: ImportJobRow): ImportJob => ({
  name: importJobName({ keyRing: row.key_ring, job: row.job_id }),
  state: ImportJob_State[row.state],
  publicKey: row.public_key,
  nonce: row.nonce,
  attemptsLeft: row.attempts_left,
  rootKey: row.spent_key_id === null ? '' : rootKeyName({ keyRing: row.key_ring, key: row.spent_key_id }),
  createTime: row.create_time,
  expireTime: row.expire_time,
});

const versionState = ({ destroy_time, is_primary }: KeyVersionRow): RootKeyVersion_State => {
  if (destroy_time) return RootKeyVersion_State.DESTROYED;
  return is_primary ? RootKeyVersion_State.PRIMARY : RootKeyVersion_State.RETIRED;
};

export const toRootKeyVersion = (row: KeyVersionRow): RootKeyVersion => ({
  name: keyVersionName({ keyRing: row.key_ring, key: row.key_id, version: row.version }),
  state: versionState(row),
  scopeCount: row.scope_count,
  wrapCount: row.wraps,
  lastUseTime: row.last_use_time ?? undefined,
  createTime: row.create_time,
  destroyTime: row.destroy_time ?? undefined,
});

const rotationState = ({ state, rotation_time, moved_time }: RotationRow): RootKeyRotation_State => {
  if (!rotation_time || moved_time) return RootKeyRotation_State.DONE;
  return refusal('', state, 'rewrap') ? RootKeyRotation_State.PAUSED : RootKeyRotation_State.MOVING;
};

export const toRotation = (row: RotationRow): RootKeyRotation => ({
  rootKey: rootKeyName({ keyRing: row.key_ring, key: row.key_id }),
  primaryVersion: row.primary_version,
  state: rotationState(row),
  scopeCount: row.scope_count,
  movedCount: row.moved_count,
  startTime: row.rotation_time ?? undefined,
  endTime: row.moved_time ?? undefined,
});

export const toGrant = (row: GrantRow): Grant => ({
  name: grantName(row.grant_uid),
  principal: row.principal,
  instance: row.instance,
  target: row.target,
  role: Role[row.role],
  createdBy: row.created_by,
  createTime: row.create_time,
});

export const toScope = (row: ScopeRow): Scope => ({
  name: scopeName(row.scope_uid),
  rootKey: rootKeyName({ keyRing: row.key_ring, key: row.key_id }),
  rootKeyVersion: row.key_version,
  instanceUid: row.instance_uid,
  state: row.destroy_time ? Scope_State.DESTROYED : Scope_State.ENABLED,
  createTime: row.create_time,
  destroyTime: row.destroy_time ?? undefined,
  retained: row.retained,
  rootKeyState: RootKey_State[row.key_state],
  granted: row.granted,
  materialExpired: row.is_expired,
  primaryVersion: row.primary_version,
  livingVersions: row.living_versions,
  service: row.service,
});

export const toRegistration = (row: RegistrationRow): Registration => ({
  scope: scopeName(row.scope_uid),
  service: row.service,
  instance: row.instance,
  instanceUid: row.instance_uid,
  rootKeyVersion: row.key_version,
  createTime: row.create_time,
  lastUseTime: row.last_use_time ?? undefined,
  wrapCount: row.wraps,
  unwrapCount: row.unwraps,
  retained: row.retained,
});

export const toKeyEvent = (row: KeyEventRow): KeyEvent => ({
  name: keyEventName(row.event_uid),
  rootKey: rootKeyName({ keyRing: row.key_ring, key: row.key_id }),
  change: KeyEvent_Change[row.change],
  state: RootKey_State[row.state],
  instance: row.instance,
  createTime: row.create_time,
});
