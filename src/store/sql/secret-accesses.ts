// Table `secret_accesses`.
import type { Queryable } from '../../kernel/db.ts';
import type { SecretPath } from '../names.ts';

export interface SecretAccess {
  instanceUid: string;
  secretUid: string;
  accesses: number;
  /** Seconds since the last one. */
  age: number;
}

/** Locked and written in one order, so that replicas do not stand in each other's way; a secret that was purged meanwhile has no row. */
export const addAccesses = async (tx: Queryable, all: readonly SecretAccess[]): Promise<void> => {
  const text = `with accessed as materialized (
      select s.instance_uid, s.secret_uid, a.accesses, now() - make_interval(secs => a.age) as access_time
      from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::float8[]) as a (instance_uid, secret_uid, accesses, age)
      join secrets s using (instance_uid, secret_uid) order by s.instance_uid, s.secret_uid for key share of s)
    insert into secret_accesses as kept (instance_uid, secret_uid, accesses, last_access_time)
    select instance_uid, secret_uid, accesses, access_time from accessed order by instance_uid, secret_uid
    on conflict (instance_uid, secret_uid) do update set accesses = kept.accesses + excluded.accesses,
      last_access_time = greatest(kept.last_access_time, excluded.last_access_time)`;
  const values = [all.map((a) => a.instanceUid), all.map((a) => a.secretUid), all.map((a) => a.accesses), all.map((a) => a.age)];
  await tx.query({ name: 'store.addAccesses', text, values });
};

export interface UsageRow {
  accesses: bigint;
  last_access_time: Date | null;
  versions: bigint;
}

/** Of a secret by its name; undefined if there is none. */
export const selectUsage = async (db: Queryable, path: SecretPath): Promise<UsageRow | undefined> => {
  const text = `select coalesce(a.accesses, 0) as accesses, a.last_access_time,
      (select count(*) from secret_versions v where v.instance_uid = s.instance_uid and v.secret_uid = s.secret_uid and v.state <> 'DESTROYED') as versions
    from instances i join secret_groups g using (instance_uid) join secrets s using (instance_uid, group_uid)
    left join secret_accesses a using (instance_uid, secret_uid)
    where i.instance_id = $1 and g.group_id = $2 and s.secret_id = $3`;
  return (await db.query<UsageRow>({ name: 'store.selectUsage', text, values: [path.instance, path.group, path.secret] }))[0];
};
