// Table `scope_versions`: the versions of scope keys.
import type { Queryable } from '../../kernel/db.ts';
import { EXPIRED } from './root-keys.ts';

export interface LivingVersion {
  version: number;
  wrapped_key: Buffer;
  /** The root key version that wraps it. */
  key_version: number;
  /** Null if that was destroyed. */
  ref: Buffer | null;
  /** Whether its material is of no use any more, and in how many milliseconds that expires; null: never. */
  is_expired: boolean;
  material_expires_ms: number | null;
}

/** Oldest first. */
export const selectLiving = (db: Queryable, scopeUid: string): Promise<LivingVersion[]> => {
  const text = `select s.version, s.wrapped_key, s.key_version, v.ref, ${EXPIRED} as is_expired,
      (extract(epoch from v.material_expire_time - now()) * 1000)::float8 as material_expires_ms
    from scope_versions s join root_key_versions v on v.key_uid = s.key_uid and v.version = s.key_version
    where s.scope_uid = $1 and s.wrapped_key is not null order by s.version`;
  return db.query<LivingVersion>({ name: 'keys.selectLiving', text, values: [scopeUid] });
};

export interface NewScopeVersion {
  scopeUid: string;
  version: number;
  keyUid: string;
  keyVersion: number;
  wrappedKey: Buffer;
}

/** It is the one that wraps from now on. */
export const addScopeVersion = async (tx: Queryable, v: NewScopeVersion): Promise<void> => {
  const text = `with added as (
      insert into scope_versions (scope_uid, version, key_uid, key_version, wrapped_key) values ($1, $2, $3, $4, $5) returning scope_uid, version
    ) update scopes s set primary_version = added.version from added where s.scope_uid = added.scope_uid`;
  await tx.query({ name: 'keys.addScopeVersion', text, values: [v.scopeUid, v.version, v.keyUid, v.keyVersion, v.wrappedKey] });
};

/** Pairs of a scope and a version, whatever else is of the scope; answers how many lived. */
export const destroyScopeVersions = async (tx: Queryable, versions: readonly { scopeUid: string; version: number }[]): Promise<number> => {
  const text = `update scope_versions v set wrapped_key = null, destroy_time = now() from unnest($1::uuid[], $2::int[]) as gone (scope_uid, version)
    where v.scope_uid = gone.scope_uid and v.version = gone.version and v.wrapped_key is not null returning v.version`;
  const values = [versions.map((v) => v.scopeUid), versions.map((v) => v.version)];
  return (await tx.query({ name: 'keys.destroyScopeVersions', text, values })).length;
};
