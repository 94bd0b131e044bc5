// Table `import_jobs`.
import type { Queryable } from '../../kernel/db.ts';
import type { ImportJobPath } from '../names.ts';

export interface ImportJobRow {
  job_uid: string;
  key_ring: string;
  job_id: string;
  state: 'ACTIVE' | 'SPENT' | 'EXPIRED';
  public_key: string;
  nonce: Buffer;
  sealed_key: Buffer | null;
  ttl_seconds: number;
  attempts_left: number;
  spent_key_id: string | null;
  spent_digest: Buffer | null;
  create_time: Date;
  expire_time: Date;
}

const COLUMNS = `j.job_uid, j.key_ring, j.job_id, case when j.state = 'ACTIVE' and j.expire_time <= now() then 'EXPIRED' else j.state end as state,
  j.public_key, j.nonce, j.sealed_key, j.ttl_seconds, j.attempts_left, k.key_id as spent_key_id, j.spent_digest, j.create_time, j.expire_time`;
const FROM = 'from import_jobs j left join root_keys k on k.key_uid = j.spent_key_uid';

export const selectImportJob = async (db: Queryable, { keyRing, job }: ImportJobPath): Promise<ImportJobRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} where j.key_ring = $1 and j.job_id = $2`;
  return (await db.query<ImportJobRow>({ name: 'keys.selectImportJob', text, values: [keyRing, job] }))[0];
};

/** One attempt at a time. */
export const lockImportJob = async (tx: Queryable, { keyRing, job }: ImportJobPath): Promise<ImportJobRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} where j.key_ring = $1 and j.job_id = $2 for update of j`;
  return (await tx.query<ImportJobRow>({ name: 'keys.lockImportJob', text, values: [keyRing, job] }))[0];
};

export const listImportJobs = (
  db: Queryable,
  { keyRing, after, limit }: { keyRing: string; after: string; limit: number },
): Promise<ImportJobRow[]> => {
  const text = `select ${COLUMNS} ${FROM} where j.key_ring = $1 and j.job_id > $2 collate "C" order by j.job_id collate "C" limit $3`;
  return db.query<ImportJobRow>({ name: 'keys.listImportJobs', text, values: [keyRing, after, limit] });
};

export interface NewImportJob extends ImportJobPath {
  jobUid: string;
  publicKey: string;
  nonce: Buffer;
  sealedKey: Buffer;
  ttlSeconds: number;
}

/** Nothing happens if the name is taken. */
export const insertImportJob = async (tx: Queryable, j: NewImportJob): Promise<void> => {
  const text = `insert into import_jobs (job_uid, key_ring, job_id, public_key, nonce, sealed_key, ttl_seconds, expire_time)
    values ($1, $2, $3, $4, $5, $6, $7::int, now() + $7::int * interval '1 second') on conflict (key_ring, job_id) do nothing`;
  const values = [j.jobUid, j.keyRing, j.job, j.publicKey, j.nonce, j.sealedKey, j.ttlSeconds];
  await tx.query({ name: 'keys.insertImportJob', text, values });
};

/** Answers how many are left. With the last one the private key is forgotten. */
export const countAttempt = async (tx: Queryable, jobUid: string): Promise<number> => {
  const text = `update import_jobs set attempts_left = attempts_left - 1, state = case when attempts_left = 1 then 'SPENT' else state end,
    sealed_key = case when attempts_left = 1 then null else sealed_key end where job_uid = $1 returning attempts_left`;
  return (await tx.query<{ attempts_left: number }>({ name: 'keys.countImportAttempt', text, values: [jobUid] }))[0]?.attempts_left ?? 0;
};

export const spendImportJob = async (tx: Queryable, jobUid: string, keyUid: string, digest: Buffer): Promise<void> => {
  const text = `update import_jobs set state = 'SPENT', sealed_key = null, spent_key_uid = $2, spent_digest = $3 where job_uid = $1`;
  await tx.query({ name: 'keys.spendImportJob', text, values: [jobUid, keyUid, digest] });
};

export interface EndedJob {
  job_uid: string;
  key_ring: string;
  job_id: string;
}

/** Ends those whose time is over. */
export const expireImportJobs = (tx: Queryable): Promise<EndedJob[]> => {
  const text = `update import_jobs set state = 'EXPIRED', sealed_key = null where state = 'ACTIVE' and expire_time <= now()
    returning job_uid, key_ring, job_id`;
  return tx.query<EndedJob>({ name: 'keys.expireImportJobs', text });
};

/** Ends one before its time. */
export const expireImportJob = async (tx: Queryable, jobUid: string): Promise<void> => {
  const text = `update import_jobs set state = 'EXPIRED', sealed_key = null where job_uid = $1`;
  await tx.query({ name: 'keys.expireImportJob', text, values: [jobUid] });
};

export interface SealedJob extends EndedJob {
  sealed_key: Buffer;
}

/** Those whose private key is sealed under this master key. */
export const lockSealedJobs = (tx: Queryable, masterKeyId: string): Promise<SealedJob[]> => {
  const text = `select job_uid, key_ring, job_id, sealed_key from import_jobs
    where sealed_by = $1 and sealed_key is not null order by job_uid limit 100 for update`;
  return tx.query<SealedJob>({ name: 'keys.lockSealedImportJobs', text, values: [masterKeyId] });
};

export const updateSealedKey = async (tx: Queryable, jobUid: string, sealedKey: Buffer): Promise<void> => {
  const text = 'update import_jobs set sealed_key = $2 where job_uid = $1';
  await tx.query({ name: 'keys.updateSealedImportKey', text, values: [jobUid, sealedKey] });
};
