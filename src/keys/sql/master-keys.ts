// Table `master_keys`.
import type { Queryable } from '../../kernel/db.ts';

export interface MasterKeyRow {
  id: string;
  state: 'NEW' | 'CURRENT' | 'PREVIOUS' | 'DESTROYED';
  create_time: Date;
  empty_time: Date | null;
  /** Whether a root key is sealed under it. */
  used: boolean;
}

/** What is done to master keys is done by one at a time, until the end of the transaction. */
export const lead = async (tx: Queryable): Promise<void> => {
  await tx.query({ name: 'keys.lead', text: `select pg_advisory_xact_lock(hashtext('strongroom.master-keys'))` });
};

/** False if another one leads. */
export const tryLead = async (tx: Queryable): Promise<boolean> => {
  const text = `select pg_try_advisory_xact_lock(hashtext('strongroom.master-keys')) as leads`;
  return (await tx.query<{ leads: boolean }>({ name: 'keys.tryLead', text }))[0]?.leads ?? false;
};

const USED = 'exists (select from root_key_versions v where v.sealed_by = m.id and v.ref is not null)';
/** Also by an import job, without which a service starts all the same. */
const NEEDED = `(${USED} or exists (select from import_jobs j where j.sealed_by = m.id and j.sealed_key is not null))`;

export const selectMasterKeys = (db: Queryable): Promise<MasterKeyRow[]> => {
  const text = `select m.id, m.state, m.create_time, m.empty_time, ${USED} as used from master_keys m order by m.create_time, m.id`;
  return db.query<MasterKeyRow>({ name: 'keys.selectMasterKeys', text });
};

export const selectCurrent = async (db: Queryable): Promise<string | undefined> => {
  const text = `select id from master_keys where state = 'CURRENT'`;
  return (await db.query<{ id: string }>({ name: 'keys.selectCurrentMasterKey', text }))[0]?.id;
};

/** Until the end of the transaction, the current one stays so. */
export const holdCurrent = async (tx: Queryable): Promise<void> => {
  await tx.query({ name: 'keys.holdCurrentMasterKey', text: `select id from master_keys where state = 'CURRENT' for share` });
};

export const insertNew = async (db: Queryable, id: string): Promise<void> => {
  await db.query({ name: 'keys.insertNewMasterKey', text: `insert into master_keys (id, state) values ($1, 'NEW')`, values: [id] });
};

/** The new one becomes the current one; answers the one before. */
export const promote = async (tx: Queryable, id: string): Promise<string | undefined> => {
  const before = `update master_keys set state = 'PREVIOUS' where state = 'CURRENT' returning id`;
  const [previous] = await tx.query<{ id: string }>({ name: 'keys.retireMasterKey', text: before });
  const text = `update master_keys set state = 'CURRENT', create_time = now() where id = $1`;
  await tx.query({ name: 'keys.promoteMasterKey', text, values: [id] });
  return previous?.id;
};

/** One that the database has forgotten: as if it had just been replaced. False if it is known. */
export const insertPrevious = async (tx: Queryable, id: string, createTime: Date): Promise<boolean> => {
  const text = `insert into master_keys (id, state, create_time) values ($1, 'PREVIOUS', $2) on conflict (id) do nothing returning id`;
  return (await tx.query({ name: 'keys.insertPreviousMasterKey', text, values: [id, createTime] })).length === 1;
};

/** Notes from when on no root key is left under a previous one; answers those for which that is news. */
export const recordEmpty = async (tx: Queryable): Promise<string[]> => {
  const text = `update master_keys m set empty_time = now() where m.state = 'PREVIOUS' and m.empty_time is null and not ${NEEDED} returning m.id`;
  return (await tx.query<{ id: string }>({ name: 'keys.recordEmptyMasterKeys', text })).map((row) => row.id);
};

/** Previous ones that have been empty for so long, and still are. */
export const selectDue = async (tx: Queryable, keepForMs: number): Promise<string[]> => {
  const text = `select m.id from master_keys m
    where m.state = 'PREVIOUS' and m.empty_time <= now() - $1 * interval '1 millisecond' and not ${NEEDED}`;
  return (await tx.query<{ id: string }>({ name: 'keys.selectDueMasterKeys', text, values: [keepForMs] })).map((row) => row.id);
};

/** False if it is unknown, or destroyed already. */
export const recordDestroyed = async (tx: Queryable, id: string): Promise<boolean> => {
  const text = `update master_keys set state = 'DESTROYED', destroy_time = now() where id = $1 and state <> 'DESTROYED' returning id`;
  return (await tx.query({ name: 'keys.recordMasterKeyDestroyed', text, values: [id] })).length === 1;
};

/** In how many milliseconds something falls due; null if never. The database's clock counts, so that replicas agree. */
export const selectDelays = async (
  db: Queryable,
  rotateEveryMs: number | null,
  keepForMs: number,
): Promise<{ rotate: number | null; destroy: number | null }> => {
  const ms = (time: string) => `(extract(epoch from ${time} - now()) * 1000)::float8`;
  const text = `select
    (select ${ms(`create_time + $1::float8 * interval '1 millisecond'`)} from master_keys where state = 'CURRENT') as rotate,
    (select ${ms(`min(empty_time) + $2::float8 * interval '1 millisecond'`)} from master_keys where state = 'PREVIOUS') as destroy`;
  const values = [rotateEveryMs, keepForMs];
  return (await db.query<{ rotate: number | null; destroy: number | null }>({ name: 'keys.selectMasterKeyDelays', text, values }))[0]!;
};

export interface MasterKeyCount {
  id: string;
  root_key_versions: bigint;
}

export const countSealed = (db: Queryable): Promise<MasterKeyCount[]> => {
  const text = `select sealed_by as id, count(*) as root_key_versions from root_key_versions
    where ref is not null and sealed_by is not null group by sealed_by`;
  return db.query<MasterKeyCount>({ name: 'keys.countSealed', text });
};
