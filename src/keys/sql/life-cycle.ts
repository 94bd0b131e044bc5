// Changes of a root key's state, in `root_keys`; who calls holds its row.
import type { Queryable } from '../../kernel/db.ts';

export const setState = async (tx: Queryable, keyUid: string, state: 'ENABLED' | 'DISABLED'): Promise<void> => {
  const text = `update root_keys set state = $2, delete_time = null, purge_time = null, approved_by = null, approve_time = null,
    revision = revision + 1, update_time = now() where key_uid = $1`;
  await tx.query({ name: 'keys.setState', text, values: [keyUid, state] });
};

export const scheduleDestruction = async (tx: Queryable, keyUid: string, waitSeconds: number): Promise<void> => {
  const text = `update root_keys set state = 'DESTROY_SCHEDULED', delete_time = now(), purge_time = now() + make_interval(secs => $2),
    approved_by = null, approve_time = null, revision = revision + 1, update_time = now() where key_uid = $1`;
  await tx.query({ name: 'keys.scheduleDestruction', text, values: [keyUid, waitSeconds] });
};

/** Null takes it back. */
export const setApproval = async (tx: Queryable, keyUid: string, principal: string | null): Promise<void> => {
  const text = `update root_keys set approved_by = $2, approve_time = case when $2::text is not null then now() end,
    revision = revision + 1, update_time = now() where key_uid = $1`;
  await tx.query({ name: 'keys.setApproval', text, values: [keyUid, principal] });
};

/** Forgets the references of all versions. The scopes stay registered, with keys that nothing opens, until they are destroyed too. */
export const destroyRootKey = async (tx: Queryable, keyUid: string): Promise<void> => {
  const text = `with versions as (
      update root_key_versions set ref = null, destroy_time = now() where key_uid = $1 and ref is not null
    ) update root_keys set state = 'DESTROYED', destroy_time = now(), next_rotation_time = null, revision = revision + 1, update_time = now()
      where key_uid = $1`;
  await tx.query({ name: 'keys.destroyRootKey', text, values: [keyUid] });
};

export interface Due {
  key_uid: string;
  key_ring: string;
  key_id: string;
}

/** Root keys whose wait is over, and that nothing retained stands against; none of them can be restored any more. */
export const lockDueDestructions = (tx: Queryable, limit: number): Promise<Due[]> => {
  const text = `select key_uid, key_ring, key_id from root_keys k where state = 'DESTROY_SCHEDULED' and purge_time <= now()
    and not exists (select from scopes s where s.key_uid = k.key_uid and s.destroy_time is null and s.retained)
    order by purge_time limit $1 for update`;
  return tx.query<Due>({ name: 'keys.lockDueDestructions', text, values: [limit] });
};

/** In milliseconds; null if nothing is scheduled. */
export const selectNextDestruction = async (db: Queryable): Promise<number | null> => {
  const text = `select (extract(epoch from min(purge_time) - now()) * 1000)::float8 as ms from root_keys where state = 'DESTROY_SCHEDULED' and purge_time > now()`;
  return (await db.query<{ ms: number | null }>({ name: 'keys.selectNextDestruction', text }))[0]?.ms ?? null;
};

export const countRetained = async (db: Queryable, keyUid: string): Promise<bigint> => {
  const text = 'select count(*) as n from scopes where key_uid = $1 and destroy_time is null and retained';
  return (await db.query<{ n: bigint }>({ name: 'keys.countRetained', text, values: [keyUid] }))[0]?.n ?? 0n;
};
