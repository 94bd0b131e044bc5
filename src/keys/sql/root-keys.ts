// Tables `root_keys` and `root_key_versions`.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyPath } from '../names.ts';

export interface RootKeyRow {
  key_uid: string;
  key_ring: string;
  key_id: string;
  state: 'ENABLED' | 'DESTROYED';
  owner: string;
  primary_version: number;
  create_time: Date;
  destroy_time: Date | null;
  scope_count: bigint;
}

const COLUMNS = `k.key_uid, k.key_ring, k.key_id, k.state, k.owner, k.primary_version, k.create_time, k.destroy_time,
  (select count(*) from scopes s where s.key_uid = k.key_uid and s.destroy_time is null) as scope_count`;

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
  owner: string;
  ref: Buffer;
}

/** False if the name is taken. */
export const insertRootKey = async (tx: Queryable, k: NewRootKey): Promise<boolean> => {
  const text = `with added as (
      insert into root_keys (key_uid, key_ring, key_id, owner) values ($1, $2, $3, $4) on conflict (key_ring, key_id) do nothing returning key_uid
    ) insert into root_key_versions (key_uid, version, ref) select key_uid, 1, $5 from added returning key_uid`;
  const values = [k.keyUid, k.keyRing, k.key, k.owner, k.ref];
  return (await tx.query({ name: 'keys.insertRootKey', text, values })).length === 1;
};

export interface VersionRow {
  version: number;
  ref: Buffer;
}

/** The versions that have material. */
export const selectVersions = (db: Queryable, keyUid: string): Promise<VersionRow[]> => {
  const text = 'select version, ref from root_key_versions where key_uid = $1 and ref is not null order by version';
  return db.query<VersionRow>({ name: 'keys.selectVersions', text, values: [keyUid] });
};

/** Forgets the references of all versions. */
export const destroyRootKey = async (tx: Queryable, keyUid: string): Promise<void> => {
  const text = `with versions as (
      update root_key_versions set ref = null, destroy_time = now() where key_uid = $1 and ref is not null
    ) update root_keys set state = 'DESTROYED', destroy_time = now() where key_uid = $1`;
  await tx.query({ name: 'keys.destroyRootKey', text, values: [keyUid] });
};
