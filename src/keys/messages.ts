// Rows as messages.
import { Scope, Scope_State } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { MasterKeyStatus, RootKey, RootKey_State } from '../gen/strongroom/keys/v1/key_service.ts';
import type { Schedule } from './epochs.ts';
import { rootKeyName, scopeName } from './names.ts';
import type { MasterKeyCount, MasterKeyRow } from './sql/master-keys.ts';
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
  state: row.wrapped_key ? Scope_State.ENABLED : Scope_State.DESTROYED,
  createTime: row.create_time,
  destroyTime: row.destroy_time ?? undefined,
});

const later = (time: Date | null | undefined, ms: number | null): Date | undefined =>
  time && ms !== null ? new Date(time.getTime() + ms) : undefined;

/** `there` are the ids whose keys are in their folder. */
export const toMasterKeyStatus = (
  rows: readonly MasterKeyRow[],
  counts: readonly MasterKeyCount[],
  there: readonly string[],
  { rotateEveryMs, keepForMs }: Schedule,
): MasterKeyStatus => {
  const toKey = ({ id, create_time: createTime, state, empty_time: emptyTime }: MasterKeyRow) => ({
    id,
    createTime,
    rootKeyVersionCount: counts.find((count) => count.id === id)?.root_key_versions ?? 0n,
    destroyTime: state === 'PREVIOUS' ? later(emptyTime, keepForMs) : undefined,
  });
  const current = rows.find(({ state }) => state === 'CURRENT');
  return {
    current: current && toKey(current),
    previous: rows.filter(({ state }) => state === 'PREVIOUS').map(toKey),
    nextRotationTime: later(current?.create_time, rotateEveryMs),
    unknownIds: there.filter((id) => !rows.some((row) => row.id === id)),
  };
};
