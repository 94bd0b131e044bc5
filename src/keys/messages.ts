// Rows as messages.
import { Scope, Scope_State } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { ImportJob, ImportJob_State } from '../gen/strongroom/keys/v1/import_service.ts';
import { RootKey, RootKey_Origin, RootKey_State } from '../gen/strongroom/keys/v1/key_service.ts';
import { importJobName, rootKeyName, scopeName } from './names.ts';
import type { ImportJobRow } from './sql/import-jobs.ts';
import type { RootKeyRow } from './sql/root-keys.ts';
import type { ScopeRow } from './sql/scopes.ts';

export const toRootKey = (row: RootKeyRow): RootKey => ({
  name: rootKeyName({ keyRing: row.key_ring, key: row.key_id }),
  uid: row.key_uid,
  state: RootKey_State[row.state],
  primaryVersion: row.primary_version,
  owner: row.owner ?? '',
  scopeCount: row.scope_count,
  createTime: row.create_time,
  destroyTime: row.destroy_time ?? undefined,
  origin: row.is_imported ? RootKey_Origin.IMPORTED : RootKey_Origin.GENERATED,
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

export const toScope = (row: ScopeRow): Scope => ({
  name: scopeName(row.scope_uid),
  rootKey: rootKeyName({ keyRing: row.key_ring, key: row.key_id }),
  rootKeyVersion: row.key_version,
  instanceUid: row.instance_uid,
  state: row.wrapped_key ? Scope_State.ENABLED : Scope_State.DESTROYED,
  createTime: row.create_time,
  destroyTime: row.destroy_time ?? undefined,
});
