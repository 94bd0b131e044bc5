// Tables `root_keys`, `key_names` and `root_key_versions`.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyPath } from '../names.ts';
import type { KeyState } from '../state.ts';

export interface RootKeySettings {
  display_name: string;
  description: string;
  labels: Record<string, string>;
  dual_authorization: boolean;
  rotation_seconds: bigint | null;
}

export interface RootKeyRow extends RootKeySettings {
  key_uid: string;
  key_ring: string;
  key_id: string;
  state: KeyState;
  /** The instance of a provider-managed key. */
  owner: string | null;
  origin: 'CREATED' | 'IMPORTED';
  primary_version: number;
  aliases: string[];
  revision: bigint;
  create_time: Date;
  update_time: Date;
  expire_time: Date | null;
  delete_time: Date | null;
  purge_time: Date | null;
  destroy_time: Date | null;
  next_rotation_time: Date | null;
  approved_by: string | null;
  approve_time: Date | null;
  scope_count: bigint;
  imported_versions: { version: number; present: boolean; expire_time: string | null }[];
}

/** Of a version `v`: whether imported material is of no use any more, forgotten or not. */
export const EXPIRED = '(v.material_forget_time is not null or coalesce(v.material_expire_time <= now(), false))';

/** An enabled key whose time is over is EXPIRED. For every statement that joins `root_keys k`. */
export const KEY_STATE = `case when k.state = 'ENABLED' and k.expire_time <= now() then 'EXPIRED' else k.state end`;

const APPROVED = `k.approve_time > now() - interval '7 days'`;
const COLUMNS = `k.key_uid, k.key_ring, k.key_id, ${KEY_STATE} as state, k.owner, k.origin, k.primary_version, k.display_name, k.description, k.labels,
  k.dual_authorization, k.rotation_seconds, k.revision, k.create_time, k.update_time, k.expire_time, k.delete_time, k.purge_time, k.destroy_time,
  k.next_rotation_time, case when ${APPROVED} then k.approved_by end as approved_by, case when ${APPROVED} then k.approve_time end as approve_time,
  array(select n.name from key_names n where n.key_uid = k.key_uid and n.name <> k.key_id order by n.name) as aliases,
  (select count(*) from scopes s where s.key_uid = k.key_uid and s.destroy_time is null) as scope_count,
  (select coalesce(jsonb_agg(jsonb_build_object('version', v.version, 'present', not ${EXPIRED}, 'expire_time', v.material_expire_time)
    order by v.version), '[]') from root_key_versions v
    where v.key_uid = k.key_uid and v.origin <> 'CREATED' and v.ref is not null) as imported_versions`;

export const selectRootKey = async (db: Queryable, path: RootKeyPath): Promise<RootKeyRow | undefined> => {
  const text = `select ${COLUMNS} from key_names n0 join root_keys k using (key_uid) where n0.key_ring = $1 and n0.name = $2`;
  return (await db.query<RootKeyRow>({ name: 'keys.selectRootKey', text, values: [path.keyRing, path.key] }))[0];
};

/** For a change of it: no scope can be created under it meanwhile. */
export const lockRootKey = async (tx: Queryable, path: RootKeyPath): Promise<RootKeyRow | undefined> => {
  await tx.query({
    name: 'keys.lockRootKey',
    text: 'select from root_keys where key_uid = (select key_uid from key_names where key_ring = $1 and name = $2) for update',
    values: [path.keyRing, path.key],
  });
  return selectRootKey(tx, path);
};

/** The ID of the key that has this alias. */
export const selectKeyId = async (db: Queryable, path: RootKeyPath): Promise<string | undefined> => {
  const text = 'select k.key_id from key_names n join root_keys k using (key_uid) where n.key_ring = $1 and n.name = $2';
  return (await db.query<{ key_id: string }>({ name: 'keys.selectKeyId', text, values: [path.keyRing, path.key] }))[0]?.key_id;
};

export const listRootKeys = (
  db: Queryable,
  keyRing: string,
  showDestroyed: boolean,
  after: string,
  limit: number,
): Promise<RootKeyRow[]> => {
  const text = `select ${COLUMNS} from root_keys k where k.key_ring = $1 and k.key_id > $2 and ($3 or k.state <> 'DESTROYED') order by k.key_id limit $4`;
  return db.query<RootKeyRow>({ name: 'keys.listRootKeys', text, values: [keyRing, after, showDestroyed, limit] });
};

export interface NewRootKey extends RootKeyPath, RootKeySettings {
  keyUid: string;
  owner: string | null;
  origin: 'CREATED' | 'IMPORTED';
  expire_time: Date | null;
  ref: Buffer;
}

/** False if the ID is taken, by a key or as an alias. */
export const insertRootKey = async (tx: Queryable, k: NewRootKey): Promise<boolean> => {
  const named = await tx.query({
    name: 'keys.insertRootKey',
    text: `with added as (
      insert into root_keys (key_uid, key_ring, key_id, owner, origin, display_name, description, labels, dual_authorization, rotation_seconds,
        next_rotation_time, expire_time)
      select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10::bigint, now() + make_interval(secs => $10::bigint * (1 - random() / 10)), $11
      where not exists (select from key_names where key_ring = $2 and name = $3)
      on conflict (key_ring, key_id) do nothing returning key_uid
    ) insert into root_key_versions (key_uid, version, ref) select key_uid, 1, $12 from added returning key_uid`,
    values: [
      k.keyUid,
      k.keyRing,
      k.key,
      k.owner,
      k.origin,
      k.display_name,
      k.description,
      JSON.stringify(k.labels),
      k.dual_authorization,
      k.rotation_seconds,
      k.expire_time,
      k.ref,
    ],
  });
  return named.length === 1 && (await addNames(tx, k.keyUid, k.keyRing, [k.key])).length === 1;
};

/** Of these, those that were free. */
export const addNames = async (tx: Queryable, keyUid: string, keyRing: string, names: readonly string[]): Promise<string[]> => {
  const text = `insert into key_names (key_ring, name, key_uid) select $2, name, $1 from unnest($3::text[]) name on conflict do nothing returning name`;
  const rows = await tx.query<{ name: string }>({ name: 'keys.addNames', text, values: [keyUid, keyRing, names] });
  return rows.map(({ name }) => name);
};

export const removeNames = async (tx: Queryable, keyUid: string, names: readonly string[]): Promise<void> => {
  const text = 'delete from key_names where key_uid = $1 and name = any($2)';
  await tx.query({ name: 'keys.removeNames', text, values: [keyUid, names] });
};

/** A changed policy begins its time anew. */
export const updateRootKey = async (tx: Queryable, keyUid: string, s: RootKeySettings): Promise<void> => {
  const text = `update root_keys set display_name = $2, description = $3, labels = $4, dual_authorization = $5, rotation_seconds = $6::bigint,
    next_rotation_time = case when rotation_seconds is not distinct from $6::bigint then next_rotation_time
      else now() + make_interval(secs => $6::bigint * (1 - random() / 10)) end,
    revision = revision + 1, update_time = now() where key_uid = $1`;
  const values = [keyUid, s.display_name, s.description, JSON.stringify(s.labels), s.dual_authorization, s.rotation_seconds];
  await tx.query({ name: 'keys.updateRootKey', text, values });
};

export interface VersionRow {
  version: number;
  ref: Buffer;
  is_expired: boolean;
}

/** The versions that are not destroyed. */
export const selectVersions = (db: Queryable, keyUid: string): Promise<VersionRow[]> => {
  const text = `select v.version, v.ref, ${EXPIRED} as is_expired from root_key_versions v
    where v.key_uid = $1 and v.ref is not null order by v.version`;
  return db.query<VersionRow>({ name: 'keys.selectVersions', text, values: [keyUid] });
};
