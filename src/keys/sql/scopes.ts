// Tables `scopes` and `keys_epoch`.
import type { Queryable } from '../../kernel/db.ts';
import type { KeyState } from '../state.ts';
import { EXPIRED, KEY_STATE } from './root-keys.ts';

export interface ScopeRow {
  scope_uid: string;
  instance_uid: string;
  key_uid: string;
  key_ring: string;
  key_id: string;
  key_state: KeyState;
  key_version: number;
  /** The service that registered it. */
  service: string;
  /** Name of the instance. */
  instance: string;
  retained: boolean;
  /** Whether the service may still use the root key: as its provider, or by a grant. */
  granted: boolean;
  /** In how many milliseconds the root key expires; null: never. */
  expires_ms: number | null;
  wrapped_key: Buffer | null;
  ref: Buffer | null;
  /** Whether the material above it is of no use any more, and in how many milliseconds it expires; null: never. */
  is_expired: boolean;
  material_expires_ms: number | null;
  create_time: Date;
  destroy_time: Date | null;
}

const COLUMNS = `s.scope_uid, s.instance_uid, s.key_uid, k.key_ring, k.key_id, ${KEY_STATE} as key_state, s.key_version, s.service, s.instance, s.retained,
  k.owner is not null or exists (select from grants g where g.principal = s.service and g.role = 'READER' and g.instance in (s.instance, 'instances/-')
    and g.target in ('keyRings/-', 'keyRings/' || k.key_ring, 'keyRings/' || k.key_ring || '/keys/' || k.key_id)) as granted,
  (extract(epoch from k.expire_time - now()) * 1000)::float8 as expires_ms, s.wrapped_key, v.ref,
  ${EXPIRED} as is_expired, (extract(epoch from v.material_expire_time - now()) * 1000)::float8 as material_expires_ms, s.create_time, s.destroy_time`;
const FROM = `from scopes s join root_keys k using (key_uid) join root_key_versions v on v.key_uid = s.key_uid and v.version = s.key_version`;

export const selectScope = async (db: Queryable, scopeUid: string): Promise<ScopeRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} where s.scope_uid = $1`;
  return (await db.query<ScopeRow>({ name: 'keys.selectScope', text, values: [scopeUid] }))[0];
};

/** Of these, those that there are. */
export const selectScopes = (db: Queryable, scopeUids: readonly string[]): Promise<ScopeRow[]> => {
  const text = `select ${COLUMNS} ${FROM} where s.scope_uid = any($1::uuid[])`;
  return db.query<ScopeRow>({ name: 'keys.selectScopes', text, values: [scopeUids] });
};

export interface NewScope {
  scopeUid: string;
  instanceUid: string;
  service: string;
  instance: string;
  keyUid: string;
  keyVersion: number;
  wrappedKey: Buffer;
}

/** False if the uid is taken, or the root key was destroyed meanwhile, or has another primary version. */
export const insertScope = async (tx: Queryable, s: NewScope): Promise<boolean> => {
  const text = `with held as (select key_uid from root_keys where key_uid = $3 and state = 'ENABLED' and primary_version = $4 for share)
    insert into scopes (scope_uid, instance_uid, key_uid, key_version, wrapped_key, service, instance) select $1, $2, key_uid, $4, $5, $6, $7 from held
    on conflict (scope_uid) do nothing returning scope_uid`;
  const values = [s.scopeUid, s.instanceUid, s.keyUid, s.keyVersion, s.wrappedKey, s.service, s.instance];
  return (await tx.query({ name: 'keys.insertScope', text, values })).length === 1;
};

/** False if it is destroyed already, or retained. */
export const destroyScope = async (tx: Queryable, scopeUid: string): Promise<boolean> => {
  const text = `update scopes set wrapped_key = null, destroy_time = now() where scope_uid = $1 and wrapped_key is not null and not retained returning scope_uid`;
  return (await tx.query({ name: 'keys.destroyScope', text, values: [scopeUid] })).length === 1;
};

export const selectEpoch = async (db: Queryable): Promise<bigint> =>
  (await db.query<{ epoch: bigint }>({ name: 'keys.selectEpoch', text: 'select epoch from keys_epoch' }))[0]?.epoch ?? 0n;

/** Answers the epoch from the commit on. */
export const raiseEpoch = async (tx: Queryable, by = 1): Promise<bigint> => {
  const text = 'update keys_epoch set epoch = epoch + $1 returning epoch';
  return (await tx.query<{ epoch: bigint }>({ name: 'keys.raiseEpoch', text, values: [by] }))[0]?.epoch ?? 0n;
};
