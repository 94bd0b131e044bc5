// Table `scope_usage`.
import type { Queryable } from '../../kernel/db.ts';

export interface ScopeUse {
  scopeUid: string;
  wraps: number;
  unwraps: number;
  /** Seconds since the last use. */
  age: number;
}

/** Locked and written in one order, so that replicas do not stand in each other's way; a scope that was destroyed meanwhile has no row. */
export const addUses = async (tx: Queryable, uses: readonly ScopeUse[]): Promise<void> => {
  const text = `with used as materialized (
      select s.scope_uid, u.wraps, u.unwraps, now() - make_interval(secs => u.age) as use_time
      from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::float8[]) as u (scope_uid, wraps, unwraps, age) join scopes s using (scope_uid)
      where s.destroy_time is null order by s.scope_uid for share of s)
    insert into scope_usage as kept (scope_uid, wraps, unwraps, last_use_time)
    select scope_uid, wraps, unwraps, use_time from used order by scope_uid
    on conflict (scope_uid) do update set wraps = kept.wraps + excluded.wraps, unwraps = kept.unwraps + excluded.unwraps,
      last_use_time = greatest(kept.last_use_time, excluded.last_use_time)`;
  const values = [uses.map((u) => u.scopeUid), uses.map((u) => u.wraps), uses.map((u) => u.unwraps), uses.map((u) => u.age)];
  await tx.query({ name: 'keys.addUses', text, values });
};

/** In the transaction that destroys the scopes. */
export const forgetUses = async (tx: Queryable, scopeUids: readonly string[]): Promise<void> => {
  await tx.query({ name: 'keys.forgetUses', text: 'delete from scope_usage where scope_uid = any($1::uuid[])', values: [scopeUids] });
};
