// Table `scopes`, as what is registered with a root key.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyPath } from '../names.ts';

export interface RegistrationRow {
  scope_uid: string;
  service: string;
  instance: string;
  instance_uid: string;
  key_version: number;
  retained: boolean;
  create_time: Date;
  last_use_time: Date | null;
  wraps: bigint;
  unwraps: bigint;
}

export const listRegistrations = (db: Queryable, path: RootKeyPath, after: string, limit: number): Promise<RegistrationRow[]> => {
  const text = `select s.scope_uid, s.service, s.instance, s.instance_uid, v.key_version, s.retained, s.create_time, u.last_use_time,
      coalesce(u.wraps, 0) as wraps, coalesce(u.unwraps, 0) as unwraps
    from key_names n join scopes s using (key_uid) join scope_versions v on v.scope_uid = s.scope_uid and v.version = s.primary_version
    left join scope_usage u on u.scope_uid = s.scope_uid
    where n.key_ring = $1 and n.name = $2 and s.destroy_time is null and s.scope_uid > $3 order by s.scope_uid limit $4`;
  return db.query<RegistrationRow>({ name: 'keys.listRegistrations', text, values: [path.keyRing, path.key, after, limit] });
};

export const setRetained = async (tx: Queryable, scopeUid: string, retained: boolean): Promise<void> => {
  await tx.query({ name: 'keys.setRetained', text: 'update scopes set retained = $2 where scope_uid = $1', values: [scopeUid, retained] });
};
