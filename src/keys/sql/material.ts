// The material of imported versions, in `root_key_versions`.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyRef, RootKeyVersion } from '../backend.ts';
import { EXPIRED } from './root-keys.ts';

export interface ImportedMaterial {
  checkValue: Buffer;
  expireTime: Date | null;
}

/** Material that was imported before, under whatever key, destroyed or not. */
export const isKnownMaterial = async (tx: Queryable, checkValue: Buffer): Promise<boolean> => {
  const text = `select exists (select from root_key_versions where check_value = $1 and origin = 'IMPORTED') as known`;
  return (await tx.query<{ known: boolean }>({ name: 'keys.isKnownMaterial', text, values: [checkValue] }))[0]?.known ?? false;
};

export interface ImportedVersionRow {
  ref: Buffer | null;
  check_value: Buffer;
  is_expired: boolean;
  material_expire_time: Date | null;
}

export const selectImportedVersion = async (tx: Queryable, keyUid: string, version: number): Promise<ImportedVersionRow | undefined> => {
  const text = `select v.ref, v.check_value, ${EXPIRED} as is_expired, v.material_expire_time from root_key_versions v
    where v.key_uid = $1 and v.version = $2 and v.origin <> 'CREATED'`;
  return (await tx.query<ImportedVersionRow>({ name: 'keys.selectImportedVersion', text, values: [keyUid, version] }))[0];
};

export const selectNextVersion = async (tx: Queryable, keyUid: string): Promise<number> => {
  const text = 'select max(version) + 1 as next from root_key_versions where key_uid = $1';
  return (await tx.query<{ next: number }>({ name: 'keys.selectNextVersion', text, values: [keyUid] }))[0]?.next ?? 1;
};

/** Of a version that was just added. */
export const recordImport = async (tx: Queryable, { keyUid, version }: RootKeyVersion, material: ImportedMaterial): Promise<void> => {
  const text = `update root_key_versions set origin = 'IMPORTED', check_value = $3, material_expire_time = $4 where key_uid = $1 and version = $2`;
  const values = [keyUid, version, material.checkValue, material.expireTime];
  await tx.query({ name: 'keys.recordImport', text, values });
};

/** Scopes that could not move for want of it can again. */
export const bringMaterialBack = async (tx: Queryable, { keyUid, version, ref }: RootKeyRef, expireTime: Date | null): Promise<void> => {
  const text = `with back as (
      update root_key_versions set ref = $3, material_expire_time = $4, material_forget_time = null where key_uid = $1 and version = $2
    ) update root_keys set moved_time = null where key_uid = $1 and rotation_time is not null`;
  await tx.query({ name: 'keys.bringMaterialBack', text, values: [keyUid, version, ref, expireTime] });
};

export interface DueMaterial {
  key_uid: string;
  key_ring: string;
  key_id: string;
  version: number;
  ref: Buffer;
}

/** Whose time is over and that is not forgotten. Nothing else is done to the keys meanwhile. */
export const lockDueMaterial = (tx: Queryable, limit: number): Promise<DueMaterial[]> => {
  const text = `select k.key_uid, k.key_ring, k.key_id, v.version, v.ref from root_key_versions v join root_keys k using (key_uid)
    where v.material_expire_time <= now() and v.material_forget_time is null and v.ref is not null
    order by k.key_uid, v.version limit $1 for update of k, v`;
  return tx.query<DueMaterial>({ name: 'keys.lockDueMaterial', text, values: [limit] });
};

export const forgetMaterial = async (tx: Queryable, { keyUid, version, ref }: RootKeyRef): Promise<void> => {
  const text = 'update root_key_versions set ref = $3, material_forget_time = now() where key_uid = $1 and version = $2';
  await tx.query({ name: 'keys.forgetMaterial', text, values: [keyUid, version, ref] });
};

/** In how many milliseconds material or an import job expires; null if none does. */
export const selectExpiryDelay = async (db: Queryable): Promise<number | null> => {
  const text = `select (extract(epoch from least(
      (select min(material_expire_time) from root_key_versions where material_forget_time is null and ref is not null),
      (select min(expire_time) from import_jobs where state = 'ACTIVE')) - now()) * 1000)::float8 as delay`;
  return (await db.query<{ delay: number | null }>({ name: 'keys.selectExpiryDelay', text }))[0]?.delay ?? null;
};
