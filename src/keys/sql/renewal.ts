// Renewing root keys: new versions in `root_key_versions`, and the versions of scope keys that move to them. Walked by indexes, from a place on.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyRef } from '../backend.ts';
import { EXPIRED } from './root-keys.ts';

/** Behind this version of this scope's key under this version, or the version itself if there is none behind. */
export interface Place {
  keyUid: string;
  version: number;
  scopeUid: string;
  scopeVersion: number;
}

export interface OldVersion {
  key_uid: string;
  key_ring: string;
  key_id: string;
  owner: string | null;
  primary_version: number;
  version: number;
  ref: Buffer;
  is_expired: boolean;
}

/** The next version under this master key. Nothing can be created under its root key, nor the key be destroyed, until the end of the transaction. */
export const lockOldVersion = async (tx: Queryable, masterKeyId: string, { keyUid, version }: Place): Promise<OldVersion | undefined> => {
  const text = `select k.key_uid, k.key_ring, k.key_id, k.owner, k.primary_version, v.version, v.ref, ${EXPIRED} as is_expired
    from root_key_versions v join root_keys k using (key_uid)
    where v.sealed_by = $1 and v.ref is not null and (v.key_uid, v.version) >= ($2, $3::int) order by v.key_uid, v.version limit 1 for update of k, v`;
  return (await tx.query<OldVersion>({ name: 'keys.lockOldVersion', text, values: [masterKeyId, keyUid, version] }))[0];
};

/**
 * Where the scopes of a version can move: to the primary one, or, while the material of that is away, to a later one of
 * their own material.
 */
export const selectTarget = async (tx: Queryable, keyUid: string, oldVersion: number): Promise<RootKeyRef | undefined> => {
  const text = `select v.key_uid as "keyUid", v.version, v.ref from root_key_versions v
    join root_keys k using (key_uid) join root_key_versions o on o.key_uid = v.key_uid and o.version = $2
    where v.key_uid = $1 and v.version <> $2 and v.ref is not null and not ${EXPIRED}
      and (v.version = k.primary_version or (v.version > $2 and v.check_value = o.check_value))
    order by (v.version = k.primary_version) desc, v.version desc limit 1`;
  return (await tx.query<RootKeyRef>({ name: 'keys.selectRenewalTarget', text, values: [keyUid, oldVersion] }))[0];
};

/** In place of the old one, also as the primary one. */
export const addVersion = async (tx: Queryable, { keyUid, version, ref }: RootKeyRef, oldVersion: number): Promise<void> => {
  const text = `with added as (
      insert into root_key_versions (key_uid, version, ref, origin, check_value, material_expire_time)
      select o.key_uid, $2, $3, case o.origin when 'CREATED' then 'CREATED' else 'RENEWED' end, o.check_value, o.material_expire_time
      from root_key_versions o where o.key_uid = $1 and o.version = $4 returning key_uid, version
    ) update root_keys k set primary_version = added.version from added where k.key_uid = added.key_uid and k.primary_version = $4`;
  await tx.query({ name: 'keys.addVersion', text, values: [keyUid, version, ref, oldVersion] });
};

/** The same version, sealed anew. */
export const updateRef = async (tx: Queryable, { keyUid, version, ref }: RootKeyRef): Promise<void> => {
  const text = 'update root_key_versions set ref = $3 where key_uid = $1 and version = $2';
  await tx.query({ name: 'keys.updateRef', text, values: [keyUid, version, ref] });
};

export interface WrappedScope {
  scope_uid: string;
  version: number;
  instance_uid: string;
  wrapped_key: Buffer;
}

export const lockScopes = (tx: Queryable, { keyUid, version, scopeUid, scopeVersion }: Place, limit: number): Promise<WrappedScope[]> => {
  const text = `select v.scope_uid, v.version, s.instance_uid, v.wrapped_key from scope_versions v join scopes s using (scope_uid)
    where v.key_uid = $1 and v.key_version = $2 and (v.scope_uid, v.version) > ($3::uuid, $4::int) and v.wrapped_key is not null
    order by v.scope_uid, v.version limit $5 for update of v`;
  return tx.query<WrappedScope>({ name: 'keys.lockScopes', text, values: [keyUid, version, scopeUid, scopeVersion, limit] });
};

export const moveScopes = async (
  tx: Queryable,
  version: number,
  scopes: readonly { scopeUid: string; version: number; wrappedKey: Buffer }[],
): Promise<void> => {
  const text = `update scope_versions v set key_version = $1, wrapped_key = moved.wrapped_key
    from unnest($2::uuid[], $3::int[], $4::bytea[]) as moved (scope_uid, version, wrapped_key)
    where v.scope_uid = moved.scope_uid and v.version = moved.version`;
  const values = [version, scopes.map((s) => s.scopeUid), scopes.map((s) => s.version), scopes.map((s) => s.wrappedKey)];
  await tx.query({ name: 'keys.moveScopes', text, values });
};

/** Forgets the reference of a version that protects nothing any more. False if scopes are left under it. */
export const forgetVersion = async (tx: Queryable, keyUid: string, version: number): Promise<boolean> => {
  const text = `update root_key_versions v set ref = null, destroy_time = now()
    where v.key_uid = $1 and v.version = $2 and v.ref is not null
      and not exists (select from scope_versions s where s.key_uid = v.key_uid and s.key_version = v.version and s.wrapped_key is not null)
    returning v.version`;
  return (await tx.query({ name: 'keys.forgetVersion', text, values: [keyUid, version] })).length === 1;
};
