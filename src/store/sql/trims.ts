// Versions that a secret keeps no longer, and column `trim_time` of `secrets`: when to look for them.
import type { Queryable, Transaction } from '../../kernel/db.ts';
import { policyOf, type KeepPolicy } from '../keep-policy.ts';
import type { SecretRow } from './secrets.ts';

type Key = Pick<SecretRow, 'instance_uid' | 'secret_uid'>;
const keyOf = ({ instance_uid, secret_uid }: Key) => [instance_uid, secret_uid];

/** Something has changed, so that there may be versions to trim: they are looked for soon. To be called with the secret locked. */
export const markTrim = (tx: Transaction, secret: Key & Parameters<typeof policyOf>[0]): void => {
  if (policyOf(secret)) setTrim(tx, secret, 0);
};

/** To be called with the secret locked. */
export const setKeepPolicy = (tx: Transaction, secret: Key, policy: KeepPolicy | null): void => {
  const text = 'update secrets set keep_policy = $3, trim_time = now() where instance_uid = $1 and secret_uid = $2';
  tx.send({ name: 'store.setKeepPolicy', text, values: [...keyOf(secret), policy] });
};

/** In so many seconds; null: not before something changes. */
export const setTrim = (tx: Transaction, secret: Key, inSeconds: number | null): void => {
  const text = `update secrets set trim_time = now() + make_interval(secs => $3::float8) where instance_uid = $1 and secret_uid = $2`;
  tx.send({ name: 'store.setTrim', text, values: [...keyOf(secret), inSeconds] });
};

/** In how many milliseconds the next one is to be looked at, less than 0 if it is late; null if none is. */
export const selectNextTrim = async (db: Queryable): Promise<number | null> => {
  const text = `select (extract(epoch from min(trim_time) - now()) * 1000)::float8 as ms from secrets where trim_time is not null`;
  return (await db.query<{ ms: number | null }>({ name: 'store.selectNextTrim', text }))[0]!.ms;
};

export interface Surplus {
  version: number;
  cause: 'count' | 'age';
  /** Seconds; not more than 0 if it is due. */
  due_in: number;
}

/** The first versions that are to go, now or some time, in the order in which they fall due. */
export const selectSurplus = (tx: Queryable, secret: SecretRow, policy: KeepPolicy, limit: number): Promise<Surplus[]> => {
  // A version's age counts from its successor, so that the newest has none. It is kept, and counted.
  const text = `with kept as (
      select v.version, n.create_time as superseded, 1 + row_number() over (order by v.version desc) as place
      from secret_versions v join secret_versions n on n.instance_uid = $1 and n.secret_uid = $2 and n.version = v.version + 1
      where v.instance_uid = $1 and v.secret_uid = $2 and v.state in ('ENABLED', 'DISABLED')),
    doomed as (
      select version, superseded + make_interval(secs => case when place > $3::int then $5::float8 end) as by_count,
        superseded + make_interval(secs => $4::float8) as by_age from kept
      where version <> all($6::int[]) and not exists (
        select from version_locks l where l.instance_uid = $1 and l.secret_uid = $2 and l.version = kept.version))
    select version, case when by_age < by_count or by_count is null then 'age' else 'count' end as cause,
      extract(epoch from least(by_count, by_age) - now())::float8 as due_in
    from doomed where coalesce(by_count, by_age) is not null order by due_in, version limit $7`;
  const { maxVersions, maxAge, minAge } = policy;
  const values = [...keyOf(secret), maxVersions, maxAge, minAge, Object.values(secret.version_aliases), limit];
  return tx.query<Surplus>({ name: 'store.selectSurplus', text, values });
};
