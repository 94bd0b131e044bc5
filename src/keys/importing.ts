// Material is taken in: one attempt on one import job, in one transaction. A key that came in ends the job; material that is
// rejected takes an attempt from it, whatever becomes of the process after that.
import { eventOf } from '../kernel/audit.ts';
import { sqlState, type Queryable, type Transaction } from '../kernel/db.ts';
import { AppError, invalid, notFound } from '../kernel/errors.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { Call } from '../kernel/table.ts';
import type { RootKeyRef, RootKeyVersion } from './backend.ts';
import type { Keys } from './keys.ts';
import { digestOfOffer, proofMessage, type Offer } from './material.ts';
import { importJobName, parseImportJob, rootKeyName, type ImportJobPath, type RootKeyPath } from './names.ts';
import { countAttempt, lockImportJob, spendImportJob, type ImportJobRow } from './sql/import-jobs.ts';
import { holdCurrent } from './sql/master-keys.ts';
import { isKnownMaterial, type ImportedMaterial } from './sql/material.ts';
import { OWN_ACTIONS } from './own-actions.ts';
import { lockRootKey, selectKeyId, type RootKeyRow } from './sql/root-keys.ts';
import { assertAllows, type Operation } from './state.ts';

/** What a caller brings, parsed. */
export interface Import {
  readonly job: ImportJobPath;
  readonly wrappedMaterial: Buffer;
  readonly proof: Buffer;
  readonly expireTime: Date | null;
}

export const parseImport = (
  material: { importJob: string; wrappedMaterial: Buffer; proof: Buffer; expireTime?: Date | undefined } | undefined,
  keyRing: string,
  now: number,
): Import => {
  if (!material) throw invalid('material', 'is required');
  const job = parseImportJob(material.importJob, 'material.import_job');
  if (job.keyRing !== keyRing) throw invalid('material.import_job', 'must be a job of the key ring that the root key is in');
  const { wrappedMaterial, proof, expireTime = null } = material;
  if (expireTime && !(expireTime.getTime() > now)) throw invalid('material.expire_time', 'must be in the future; leave it out for never');
  return { job, wrappedMaterial, proof, expireTime };
};

/** An imported root key whose state allows the operation, locked. */
export const lockImported = async (tx: Queryable, path: RootKeyPath, operation: Operation): Promise<RootKeyRow> => {
  const [row, name] = [await lockRootKey(tx, path), rootKeyName(path)];
  if (!row) throw notFound('root key', name);
  if (row.origin !== 'IMPORTED') throw invalid('name', `must be an imported key; the material of ${name} was made here`);
  assertAllows(name, row.state, operation);
  return row;
};

/** Where the material goes. */
export interface Destination {
  /** With a `ref`, the same material again. */
  readonly to: RootKeyVersion & { ref?: Buffer };
  /** Of the material that it must be; any that is new if there is none. */
  readonly checkValue?: Buffer;
  /** Writes what came in. */
  readonly store: (key: RootKeyRef, material: ImportedMaterial) => Promise<void>;
}

const spent = (name: string): AppError =>
  new AppError('IMPORT_JOB_SPENT', `${name} takes nothing any more: it has taken a key, or its attempts have run out; create another job`, {
    metadata: { resource: name },
  });

const ended = (name: string): AppError =>
  new AppError('IMPORT_JOB_EXPIRED', `the time of ${name} is over; create another job`, { metadata: { resource: name } });

const reused = (): AppError =>
  new AppError('KEY_MATERIAL_REUSED', 'this material was imported before, and is not taken a second time; draw another 32 bytes');

const mismatch = (): AppError =>
  new AppError('KEY_MATERIAL_MISMATCH', 'this is not the material that the version had; bring that one', {
    metadata: { field: 'material.wrapped_material' },
  });

const isReason = (error: unknown, reason: string): error is AppError => error instanceof AppError && error.reason === reason;

/** The rejection, once it is counted. */
const reject = async (tx: Transaction, job: ImportJobRow, name: string, call: Call, error: AppError): Promise<AppError> => {
  const attemptsLeft = await countAttempt(tx, job.job_uid);
  const { grpcCode: code, reason } = error;
  const attributes = { attemptsLeft: String(attemptsLeft) };
  enqueue(tx, eventOf(call, { as: OWN_ACTIONS['keys.importjob.attempt'], resource: name, outcome: 'FAILURE', code, reason, attributes }));
  return error;
};

/** True if this very call has been made before, and its answer was lost. */
const isRepeated = async (tx: Queryable, job: ImportJobRow, path: RootKeyPath, offer: Offer): Promise<boolean> =>
  job.spent_digest?.equals(digestOfOffer(offer)) === true && job.spent_key_id === (await selectKeyId(tx, path));

const takeIn = async (keys: Keys, tx: Queryable, job: ImportJobRow, offer: Offer, call: Call, wanted: Import, at: Destination) => {
  await holdCurrent(tx);
  const { ref, checkValue } = await keys.backend.importMaterial(
    { jobUid: job.job_uid, sealed: job.sealed_key! },
    offer,
    at.to,
    call.deadline,
  );
  if (at.checkValue ? !at.checkValue.equals(checkValue) : await isKnownMaterial(tx, checkValue))
    throw at.checkValue ? mismatch() : reused();
  await at.store({ keyUid: at.to.keyUid, version: at.to.version, ref }, { checkValue, expireTime: wanted.expireTime });
  await spendImportJob(tx, job.job_uid, at.to.keyUid, digestOfOffer(offer));
};

/**
 * Imports for the root key of that name. `destination` finds where the material goes, or throws; it is asked only when the job would
 * take it. `answer` reads what is there after it, or was there after the same call before.
 */
export const importInto = async <Reply>(
  keys: Keys,
  call: Call,
  wanted: Import,
  path: RootKeyPath,
  destination: (tx: Queryable) => Promise<Destination>,
  answer: (tx: Queryable) => Promise<Reply>,
): Promise<Reply> => {
  const name = importJobName(wanted.job);
  keys.relay.assertHealthy();
  const outcome = await keys.db
    .transaction(async (tx): Promise<Reply | AppError> => {
      const job = await lockImportJob(tx, wanted.job);
      if (!job) throw notFound('import job', name);
      const offer = { ...wanted, message: proofMessage(name, job.nonce) };
      if (!(await isRepeated(tx, job, path, offer))) {
        if (job.state === 'SPENT') throw spent(name);
        if (job.state === 'EXPIRED') throw ended(name);
        const at = await destination(tx);
        try {
          await takeIn(keys, tx, job, offer, call, wanted, at);
        } catch (error) {
          if (isReason(error, 'IMPORT_REJECTED')) return reject(tx, job, name, call, error);
          throw error;
        }
      }
      const reply = await answer(tx);
      enqueue(tx, eventOf(call));
      return reply;
    })
    .catch((error: unknown) => {
      // Another job has taken the same material at the same time.
      throw sqlState(error) === '23505' ? reused() : error;
    });
  keys.relay.kick();
  if (outcome instanceof AppError) throw outcome;
  keys.events.made();
  return outcome;
};
