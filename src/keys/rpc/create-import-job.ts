import type { CreateImportJobRequest, ImportJob } from '../../gen/strongroom/keys/v1/import_service.ts';
import { AppError, invalid, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { newUid } from '../../kernel/uid.ts';
import { parseCorrelationId } from '../call-context.ts';
import type { Keys } from '../keys.ts';
import { newNonce } from '../material.ts';
import { toImportJob } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { importJobName, parseId, parseKeyRing, type ImportJobPath } from '../names.ts';
import { selectKeyRing } from '../sql/key-rings.ts';
import { insertImportJob, selectImportJob, type ImportJobRow } from '../sql/import-jobs.ts';
import { holdCurrent } from '../sql/master-keys.ts';

const DEFAULT_TTL = 3_600;
const [SHORTEST_TTL, LONGEST_TTL] = [60, 7 * 86_400];

const parseTtl = (ttl: CreateImportJobRequest['ttl']): number => {
  if (!ttl) return DEFAULT_TTL;
  const seconds = Number(ttl.seconds);
  if (ttl.nanos !== 0 || seconds < SHORTEST_TTL || seconds > LONGEST_TTL)
    throw invalid('ttl', `must be ${SHORTEST_TTL} s to ${LONGEST_TTL} s (7 days), in whole seconds`);
  return seconds;
};

export const createImportJob = async (keys: Keys, request: CreateImportJobRequest, call: Call): Promise<ImportJob> => {
  const path = { ...parseKeyRing(request.parent, 'parent'), job: parseId(request.importJobId, 'import_job_id') };
  const ttlSeconds = parseTtl(request.ttl);
  const correlationId = parseCorrelationId(request.correlationId) || call.correlationId;
  call.annotate({ resource: importJobName(path), correlationId });

  if (!(await selectKeyRing(keys.db.read, path))) throw notFound('key ring', request.parent);
  const jobUid = newUid();
  // Some seconds: not while a transaction waits for it, and not for a name that is taken.
  const pair = (await selectImportJob(keys.db.read, path)) ? undefined : await keys.backend.createImportKey(jobUid, call.deadline);
  const job = await mutate(keys, call, async (tx) => {
    if (pair) {
      // Sealed anew under the master key that stays the current one until both are committed.
      await holdCurrent(tx);
      const sealedKey = await keys.backend.resealImportKey({ jobUid, sealed: pair.sealed }, call.deadline);
      await insertImportJob(tx, { ...path, jobUid, publicKey: pair.publicKey, nonce: newNonce(), sealedKey, ttlSeconds });
    }
    const row = await selectImportJob(tx, path);
    if (!row || row.state !== 'ACTIVE' || row.ttl_seconds !== ttlSeconds) throw taken(path, row);
    return toImportJob(row);
  });
  keys.chores.kick();
  return job;
};

const taken = (path: ImportJobPath, row: ImportJobRow | undefined): AppError => {
  const why = row?.state === 'ACTIVE' ? 'was created with another ttl' : 'is not ACTIVE any more';
  return new AppError('ALREADY_EXISTS', `${importJobName(path)} ${why}; choose another ID`, {
    metadata: { resource: importJobName(path) },
  });
};
