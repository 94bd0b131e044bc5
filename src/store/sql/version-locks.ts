// Table `version_locks`. Whoever changes it, or destroys or adds a version, has the secret's row locked.
import type { Queryable } from '../../kernel/db.ts';
import type { Place } from './place.ts';

interface Secret {
  instance_uid: string;
  secret_uid: string;
}

export interface LockRow {
  version: number;
  lock_id: string;
  description: string;
  attributes: Record<string, string>;
  rotation_guard: boolean;
  created_by: string;
  create_time: Date;
}

const COLUMNS = 'version, lock_id, description, attributes, rotation_guard, created_by, create_time';
const OF_SECRET = 'instance_uid = $1 and secret_uid = $2';
const keyOf = ({ instance_uid, secret_uid }: Secret) => [instance_uid, secret_uid];

const LOCKS_OF = (row: string): string =>
  `select from version_locks l where l.instance_uid = ${row}.instance_uid and l.secret_uid = ${row}.secret_uid`;

/** SQL: what is locked does not expire; of a secret, as long as any of its versions is. Nothing is looked up before the time. */
const expired = (row: string, locks: string): string => `case when ${row}.expire_time <= now() then not exists (${locks}) else false end`;
export const secretExpired = (s: string): string => expired(s, LOCKS_OF(s));
export const versionExpired = (v: string): string => expired(v, `${LOCKS_OF(v)} and l.version = ${v}.version`);

/** Undefined if there is one of this ID on the version. */
export const insertLock = async (tx: Queryable, secret: Secret, l: Omit<LockRow, 'create_time'>): Promise<LockRow | undefined> => {
  const text = `insert into version_locks (instance_uid, secret_uid, version, lock_id, description, attributes, rotation_guard, created_by)
    values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning ${COLUMNS}`;
  const values = [...keyOf(secret), l.version, l.lock_id, l.description, l.attributes, l.rotation_guard, l.created_by];
  return (await tx.query<LockRow>({ name: 'store.insertLock', text, values }))[0];
};

export const countLocks = async (tx: Queryable, secret: Secret): Promise<number> => {
  const text = `select count(*)::int as count from version_locks where ${OF_SECRET}`;
  return (await tx.query<{ count: number }>({ name: 'store.countLocks', text, values: keyOf(secret) }))[0]!.count;
};

/** Those of one version, or of all. */
export const listLocks = (
  db: Queryable,
  secret: Secret,
  version: number | null,
  after: Pick<LockRow, 'version' | 'lock_id'>,
  limit: number,
): Promise<LockRow[]> => {
  const text = `select ${COLUMNS} from version_locks where ${OF_SECRET} and ($3::int is null or version = $3)
      and (version, lock_id) > ($4, $5) order by version, lock_id limit $6`;
  return db.query<LockRow>({ name: 'store.listLocks', text, values: [...keyOf(secret), version, after.version, after.lock_id, limit] });
};

const NAME = `'instances/' || i.instance_id || '/groups/' || g.group_id || '/secrets/' || s.secret_id || '/versions/' || l.version
  || '/locks/' || l.lock_id as name`;
const FROM = `version_locks l join secrets s using (instance_uid, secret_uid) join secret_groups g using (instance_uid, group_uid)
  join instances i using (instance_uid)`;
const IN_SECRET = `select ${NAME} from ${FROM} where l.instance_uid = $1 and l.secret_uid = $2 and ($3::int is null or l.version = $3)
  order by l.version, l.lock_id limit 1`;
const ABOVE_SECRETS = `select ${NAME} from ${FROM} where l.instance_uid = $1 and ($2::uuid is null or s.group_uid = $2) limit 1`;

/** The name of one that is on a version at this place: on any, or on this one. */
export const selectLockAt = async (tx: Queryable, p: Place, version?: number): Promise<string | undefined> => {
  const statement = p.secret_uid
    ? { name: 'store.selectLockIn', text: IN_SECRET, values: [p.instance_uid, p.secret_uid, version] }
    : { name: 'store.selectLockBelow', text: ABOVE_SECRETS, values: [p.instance_uid, p.group_uid] };
  return (await tx.query<{ name: string }>(statement))[0]?.name;
};

/** The name of one that lets no version be added, the newest being this one. */
export const selectGuard = async (tx: Queryable, secret: Secret, latest: number): Promise<string | undefined> => {
  const text = `select ${NAME} from ${FROM} where l.instance_uid = $1 and l.secret_uid = $2 and l.version < $3 and l.rotation_guard
    order by l.version, l.lock_id limit 1`;
  return (await tx.query<{ name: string }>({ name: 'store.selectGuard', text, values: [...keyOf(secret), latest] }))[0]?.name;
};

/** False if there is none. */
export const deleteLock = async (tx: Queryable, secret: Secret, version: number, lockId: string): Promise<boolean> => {
  const text = `delete from version_locks where ${OF_SECRET} and version = $3 and lock_id = $4 returning lock_id`;
  return (await tx.query({ name: 'store.deleteLock', text, values: [...keyOf(secret), version, lockId] })).length === 1;
};

/** Of one version or of all, those of this ID, or whose IDs begin like this. Answers how many. */
export const deleteLocks = async (
  tx: Queryable,
  secret: Secret,
  version: number | null,
  id: string,
  isPrefix: boolean,
): Promise<number> => {
  const text = `delete from version_locks where ${OF_SECRET} and ($3::int is null or version = $3)
    and case when $5 then starts_with(lock_id, $4) else lock_id = $4 end returning lock_id`;
  return (await tx.query({ name: 'store.deleteLocks', text, values: [...keyOf(secret), version, id, isPrefix] })).length;
};

export interface Freed {
  version: number;
  /** No lock of another ID is on it. */
  is_free: boolean;
}

/** Those of this ID on older versions; answers of which. */
export const deleteOlderLocks = (tx: Queryable, secret: Secret, version: number, lockId: string): Promise<Freed[]> => {
  const text = `delete from version_locks l where ${OF_SECRET} and version < $3 and lock_id = $4 returning version,
    not exists (select from version_locks o where o.instance_uid = $1 and o.secret_uid = $2 and o.version = l.version and o.lock_id <> $4) as is_free`;
  return tx.query<Freed>({ name: 'store.deleteOlderLocks', text, values: [...keyOf(secret), version, lockId] });
};
