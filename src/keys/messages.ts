// Rows as messages.
import { Scope, Scope_State } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { RootKey, RootKey_State } from '../gen/strongroom/keys/v1/key_service.ts';
import { rootKeyName, scopeName } from './names.ts';
import type { RootKeyRow } from './sql/root-keys.ts';
import type { ScopeRow } from './sql/scopes.ts';

export const toRootKey = (row: RootKeyRow): RootKey => ({
  name: rootKeyName({ keyRing: row.key_ring, key: row.key_id }),
  uid: row.key_uid,
  state: RootKey_State[row.state],
  primaryVersion: row.primary_version,
  owner: row.owner,
  scopeCount: row.scope_count,
  createTime: row.create_time,
  destroyTime: row.destroy_time ?? undefined,
});

export const toScope = (row: ScopeRow): Scope => ({
  name: scopeName(row.scope_uid),
  rootKey: rootKeyName({ keyRing: row.key_ring, key: row.key_id }),
  rootKeyVersion: row.key_version,
  instanceUid: row.instance_uid,
  state: row.destroy_time ? Scope_State.DESTROYED : Scope_State.ENABLED,
  createTime: row.create_time,
  destroyTime: row.destroy_time ?? undefined,
  primaryVersion: row.primary_version,
  livingVersions: row.living_versions,
  service: row.service,
});
