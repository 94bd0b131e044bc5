// Tables `scopes`, with the first version of each one's key, and `keys_epoch`.
import type { Queryable } from '../../kernel/db.ts';
import type { KeyState } from '../state.ts';
import { EXPIRED, KEY_STATE } from './root-keys.ts';

export interface ScopeRow {
  scope_uid: string;
  instance_uid: string;
  /** Whose it is, a SPIFFE ID. */
  service: string;
  /** Of the scope's key. */
  primary_version: number;
  living_versions: number[];
  key_uid: string;
  key_ring: string;
  key_id: string;
  key_state: KeyState;
  /** Of the root key: the one that new keys of the scope are wrapped by. */
  key_primary_version: number;
  /** Of the root key: the one that the primary version is wrapped by. */
  key_version: number;
  /** Name of the instance. */
  instance: string;
  retained: boolean;
  /** Whether the service may still use the root key: as its provider, or by a grant. */
  granted: boolean;
  /** In how many milliseconds the root key expires; null: never. */
  expires_ms: number | null;
  /** Whether imported material above a version of its key is of no use any more. */
  is_expired: boolean;
  create_time: Date;
  destroy_time: Date | null;
}

const COLUMNS = `s.scope_uid, s.instance_uid, s.service, s.primary_version, array(select l.version from scope_versions l
    where l.scope_uid = s.scope_uid and l.wrapped_key is not null order by l.version) as living_versions,
  s.key_uid, k.key_ring, k.key_id, ${KEY_STATE} as key_state, k.primary_version as key_primary_version, v.key_version, s.instance, s.retained,
  k.owner is not null or exists (select from grants g where g.principal = s.service and g.role = 'READER' and g.instance in (s.instance, 'instances/-')
    and g.target in ('keyRings/-', 'keyRings/' || k.key_ring, 'keyRings/' || k.key_ring || '/keys/' || k.key_id)) as granted,
  (extract(epoch from k.expire_time - now()) * 1000)::float8 as expires_ms,
  exists (select from scope_versions l join root_key_versions v on v.key_uid = l.key_uid and v.version = l.key_version
    where l.scope_uid = s.scope_uid and l.wrapped_key is not null and ${EXPIRED}) as is_expired, s.create_time, s.destroy_time`;
const FROM = `from scopes s join root_keys k using (key_uid) join scope_versions v on v.scope_uid = s.scope_uid and v.version = s.primary_version`;

export const selectScope = async (db: Queryable, scopeUid: string): Promise<ScopeRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} where s.scope_uid = $1`;
  return (await db.query<ScopeRow>({ name: 'keys.selectScope', text, values: [scopeUid] }))[0];
};

/** For a change of its key: neither it nor its root key changes meanwhile. */
export const lockScope = async (tx: Queryable, scopeUid: string): Promise<ScopeRow | undefined> => {
  const text = 'select s.scope_uid from scopes s join root_keys k using (key_uid) where s.scope_uid = $1 for update of s for share of k';
  await tx.query({ name: 'keys.lockScope', text, values: [scopeUid] });
  return selectScope(tx, scopeUid);
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
  const text = `with held as (select key_uid from root_keys where key_uid = $3 and state = 'ENABLED' and primary_version = $4 for share),
    added as (insert into scopes (scope_uid, instance_uid, key_uid, service, instance) select $1, $2, key_uid, $6, $7 from held
      on conflict (scope_uid) do nothing returning scope_uid, key_uid)
    insert into scope_versions (scope_uid, version, key_uid, key_version, wrapped_key) select scope_uid, 1, key_uid, $4, $5 from added returning scope_uid`;
  const values = [s.scopeUid, s.instanceUid, s.keyUid, s.keyVersion, s.wrappedKey, s.service, s.instance];
  return (await tx.query({ name: 'keys.insertScope', text, values })).length === 1;
};

/** With all versions of their keys; answers how many were there. A rotation that was under way has ended when the second statement begins. */
export const destroyScopes = async (tx: Queryable, scopeUids: readonly string[]): Promise<number> => {
  const scopes = 'update scopes set destroy_time = now() where scope_uid = any($1::uuid[]) and destroy_time is null returning scope_uid';
  const gone = await tx.query({ name: 'keys.destroyScopes', text: scopes, values: [scopeUids] });
  const text = `update scope_versions set wrapped_key = null, destroy_time = now() where scope_uid = any($1::uuid[]) and wrapped_key is not null`;
  await tx.query({ name: 'keys.destroyScopeKeys', text, values: [scopeUids] });
  return gone.length;
};

export const selectEpoch = async (db: Queryable): Promise<bigint> =>
  (await db.query<{ epoch: bigint }>({ name: 'keys.selectEpoch', text: 'select epoch from keys_epoch' }))[0]?.epoch ?? 0n;

/** Answers the epoch from the commit on. */
export const raiseEpoch = async (tx: Queryable, by = 1): Promise<bigint> => {
  const text = 'update keys_epoch set epoch = epoch + $1 returning epoch';
  return (await tx.query<{ epoch: bigint }>({ name: 'keys.raiseEpoch', text, values: [by] }))[0]?.epoch ?? 0n;
};
