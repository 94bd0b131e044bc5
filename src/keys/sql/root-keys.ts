// Tables `root_keys` and `root_key_versions`.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyPath } from '../names.ts';

export interface RootKeyRow {
  key_uid: string;
  key_ring: string;
  key_id: string;
  state: 'ENABLED' | 'DESTROYED';
  /** Null for a key of its key ring alone. */
  owner: string | null;
  primary_version: number;
  create_time: Date;
  destroy_time: Date | null;
  scope_count: bigint;
  is_imported: boolean;
  imported_versions: { version: number; present: boolean; expire_time: string | null }[];
}

/** Of a version `v`: whether its material is of no use any more, forgotten or not. */
export const EXPIRED = '(v.material_forget_time is not null or coalesce(v.material_expire_time <= now(), false))';

const COLUMNS = `k.key_uid, k.key_ring, k.key_id, k.state, k.owner, k.primary_version, k.create_time, k.destroy_time,
  (select count(*) from scopes s where s.key_uid = k.key_uid and s.wrapped_key is not null) as scope_count,
  exists (select from root_key_versions v where v.key_uid = k.key_uid and v.origin = 'IMPORTED') as is_imported,
  (select coalesce(jsonb_agg(jsonb_build_object('version', v.version, 'present', not ${EXPIRED}, 'expire_time', v.material_expire_time)
    order by v.version), '[]') from root_key_versions v
    where v.key_uid = k.key_uid and v.origin <> 'GENERATED' and v.ref is not null) as imported_versions`;

export const selectRootKey = async (db: Queryable, path: RootKeyPath): Promise<RootKeyRow | undefined> => {
  const text = `select ${COLUMNS} from root_keys k where k.key_ring = $1 and k.key_id = $2`;
  return (await db.query<RootKeyRow>({ name: 'keys.selectRootKey', text, values: [path.keyRing, path.key] }))[0];
};

/** For its destruction: no scope can be created under it meanwhile. */
export const lockRootKey = async (tx: Queryable, path: RootKeyPath): Promise<RootKeyRow | undefined> => {
  await tx.query({
    name: 'keys.lockRootKey',
    text: 'select key_uid from root_keys where key_ring = $1 and key_id = $2 for update',
    values: [path.keyRing, path.key],
  });
  return selectRootKey(tx, path);
};

export interface NewRootKey extends RootKeyPath {
  keyUid: string;
  owner: string | null;
  ref: Buffer;
  imported?: ImportedMaterial;
}

export interface ImportedMaterial {
  checkValue: Buffer;
  expireTime: Date | null;
}

/** False if the name is taken. */
export const insertRootKey = async (tx: Queryable, k: NewRootKey): Promise<boolean> => {
  const text = `with added as (
      insert into root_keys (key_uid, key_ring, key_id, owner) values ($1, $2, $3, $4) on conflict (key_ring, key_id) do nothing returning key_uid
    ) insert into root_key_versions (key_uid, version, ref, origin, check_value, material_expire_time)
      select key_uid, 1, $5, $6, $7, $8 from added returning key_uid`;
  const { imported } = k;
  const material = [imported ? 'IMPORTED' : 'GENERATED', imported?.checkValue ?? null, imported?.expireTime ?? null];
  const values = [k.keyUid, k.keyRing, k.key, k.owner, k.ref, ...material];
  return (await tx.query({ name: 'keys.insertRootKey', text, values })).length === 1;
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

/** Forgets the references of all versions. */
export const destroyRootKey = async (tx: Queryable, keyUid: string): Promise<void> => {
  const text = `with versions as (
      update root_key_versions set ref = null, destroy_time = now() where key_uid = $1 and ref is not null
    ) update root_keys set state = 'DESTROYED', destroy_time = now() where key_uid = $1`;
  await tx.query({ name: 'keys.destroyRootKey', text, values: [keyUid] });
};
