// Table `root_key_versions`, as it is seen.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyPath } from '../names.ts';

export interface KeyVersionRow {
  key_uid: string;
  key_ring: string;
  key_id: string;
  version: number;
  is_primary: boolean;
  wraps: bigint;
  scope_count: bigint;
  create_time: Date;
  last_use_time: Date | null;
  destroy_time: Date | null;
}

const SELECT = `select v.key_uid, k.key_ring, k.key_id, v.version, v.version = k.primary_version and k.state <> 'DESTROYED' as is_primary, v.wraps,
  v.create_time, v.last_use_time, v.destroy_time,
  (select count(distinct s.scope_uid) from scope_versions s
    where s.key_uid = v.key_uid and s.key_version = v.version and s.wrapped_key is not null) as scope_count
  from key_names named join root_keys k using (key_uid) join root_key_versions v using (key_uid)
  where named.key_ring = $1 and named.name = $2`;

export const selectKeyVersion = async (db: Queryable, path: RootKeyPath, version: number): Promise<KeyVersionRow | undefined> => {
  const values = [path.keyRing, path.key, version];
  return (await db.query<KeyVersionRow>({ name: 'keys.selectKeyVersion', text: `${SELECT} and v.version = $3`, values }))[0];
};

/** Newest first; those older than `before`. */
export const listKeyVersions = (db: Queryable, path: RootKeyPath, before: number, limit: number): Promise<KeyVersionRow[]> => {
  const text = `${SELECT} and v.version < $3 order by v.version desc limit $4`;
  return db.query<KeyVersionRow>({ name: 'keys.listKeyVersions', text, values: [path.keyRing, path.key, before, limit] });
};

export const recordWraps = async (tx: Queryable, keyUid: string, version: number, count: number): Promise<void> => {
  const text = 'update root_key_versions set wraps = wraps + $3, last_use_time = now() where key_uid = $1 and version = $2';
  await tx.query({ name: 'keys.recordWraps', text, values: [keyUid, version, count] });
};

export interface VersionUse {
  keyUid: string;
  version: number;
}

export const recordUses = async (tx: Queryable, uses: readonly VersionUse[]): Promise<void> => {
  const text = `update root_key_versions v set last_use_time = now() from unnest($1::uuid[], $2::int[]) as used (key_uid, version)
    where v.key_uid = used.key_uid and v.version = used.version`;
  await tx.query({ name: 'keys.recordUses', text, values: [uses.map((u) => u.keyUid), uses.map((u) => u.version)] });
};
