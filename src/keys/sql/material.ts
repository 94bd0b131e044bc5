// The material of imported versions, in `root_key_versions`.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyRef } from '../backend.ts';
import { EXPIRED, type ImportedMaterial } from './root-keys.ts';

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
    where v.key_uid = $1 and v.version = $2 and v.origin <> 'GENERATED'`;
  return (await tx.query<ImportedVersionRow>({ name: 'keys.selectImportedVersion', text, values: [keyUid, version] }))[0];
};

export const selectNextVersion = async (tx: Queryable, keyUid: string): Promise<number> => {
  const text = 'select max(version) + 1 as next from root_key_versions where key_uid = $1';
  return (await tx.query<{ next: number }>({ name: 'keys.selectNextVersion', text, values: [keyUid] }))[0]?.next ?? 1;
};

/** The new version is the one that wraps from now on. */
export const addImportedVersion = async (tx: Queryable, key: RootKeyRef, material: ImportedMaterial): Promise<void> => {
  const text = `with added as (
      insert into root_key_versions (key_uid, version, ref, origin, check_value, material_expire_time)
      values ($1, $2, $3, 'IMPORTED', $4, $5) returning key_uid, version
    ) update root_keys k set primary_version = added.version from added where k.key_uid = added.key_uid`;
  const values = [key.keyUid, key.version, key.ref, material.checkValue, material.expireTime];
  await tx.query({ name: 'keys.addImportedVersion', text, values });
};

export const bringMaterialBack = async (tx: Queryable, { keyUid, version, ref }: RootKeyRef, expireTime: Date | null): Promise<void> => {
  const text = `update root_key_versions set ref = $3, material_expire_time = $4, material_forget_time = null
    where key_uid = $1 and version = $2`;
  await tx.query({ name: 'keys.bringMaterialBack', text, values: [keyUid, version, ref, expireTime] });
};

export interface DueMaterial {
  key_uid: string;
  key_ring: string;
  key_id: string;
  owner: string | null;
  version: number;
  ref: Buffer;
}

/** Whose time is over and that is not forgotten. Nothing else is done to the keys meanwhile. */
export const lockDueMaterial = (tx: Queryable): Promise<DueMaterial[]> => {
  const text = `select k.key_uid, k.key_ring, k.key_id, k.owner, v.version, v.ref from root_key_versions v join root_keys k using (key_uid)
    where v.material_expire_time <= now() and v.material_forget_time is null and v.ref is not null
    order by k.key_uid, v.version limit 100 for update of k, v`;
  return tx.query<DueMaterial>({ name: 'keys.lockDueMaterial', text });
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

/** False if another one is at it, until the end of the transaction. */
export const tryExpire = async (tx: Queryable): Promise<boolean> => {
  const text = `select pg_try_advisory_xact_lock(hashtext('strongroom.expiry')) as mine`;
  return (await tx.query<{ mine: boolean }>({ name: 'keys.tryExpire', text }))[0]?.mine ?? false;
};
