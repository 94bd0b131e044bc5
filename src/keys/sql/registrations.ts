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
  const text = `select s.scope_uid, s.service, s.instance, s.instance_uid, s.key_version, s.retained, s.create_time, u.last_use_time,
      coalesce(u.wraps, 0) as wraps, coalesce(u.unwraps, 0) as unwraps
    from key_names n join scopes s using (key_uid) left join scope_usage u using (scope_uid)
    where n.key_ring = $1 and n.name = $2 and s.destroy_time is null and s.scope_uid > $3 order by s.scope_uid limit $4`;
  return db.query<RegistrationRow>({ name: 'keys.listRegistrations', text, values: [path.keyRing, path.key, after, limit] });
};

/** Holds the root key too: of a retention and the key's deletion, one sees the other. False if the service has no such scope. */
export const lockRegistration = async (tx: Queryable, scopeUid: string, service: string): Promise<boolean> => {
  const text = `select from scopes s join root_keys k using (key_uid) where s.scope_uid = $1 and s.service = $2 for share of k for update of s`;
  return (await tx.query({ name: 'keys.lockRegistration', text, values: [scopeUid, service] })).length === 1;
};

export const setRetained = async (tx: Queryable, scopeUid: string, retained: boolean): Promise<void> => {
  await tx.query({ name: 'keys.setRetained', text: 'update scopes set retained = $2 where scope_uid = $1', values: [scopeUid, retained] });
};
