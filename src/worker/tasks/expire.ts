// A secret or a version whose time has come: it is deleted, and a purge of it begins, under the holds that every purge minds. The
// entry in the audit log is durable before; it is the same one if this has to be repeated.
import { v5 as uuidv5 } from 'uuid';
import { z } from 'zod';
import { AppError } from '../../kernel/errors.ts';
import { describe } from '../../kernel/log.ts';
import { metrics } from '../../kernel/metrics.ts';
import { addExpiryTurn, expire as markExpired, lockExpired, type Expired, type Expiring } from '../../store/sql/purge-expired.ts';
import { versionPurgeUid } from '../../store/sql/purge.ts';
import { waitAfter } from '../pace.ts';
import type { Worker } from '../worker.ts';

const APPEND_MS = 10_000;

const job = z.strictObject({
  instanceUid: z.uuid(),
  secretUid: z.uuid(),
  version: z.int().min(1).nullable(),
  failures: z.int().min(0).default(0),
});
export type ExpireJob = z.infer<typeof job>;
export const parseExpireJob = (payload: unknown): ExpireJob => job.parse(payload);

const record = async ({ ownEvent, auditor }: Worker, { expireTime, ...expired }: Expired, uid: string): Promise<void> => {
  const action = expired.version === null ? 'secrets.secret.expire' : 'secrets.version.expire';
  const event = ownEvent(action, expired.resource, {
    eventId: uuidv5(`expire/${expireTime.toISOString()}`, uid),
    occurTime: expireTime,
    instanceUid: expired.instanceUid,
    correlationId: uid,
    attributes: { purge: `purges/${uid}`, expireTime: expireTime.toISOString() },
  });
  await auditor.append([event], Date.now() + APPEND_MS).catch((error: unknown) => {
    // Recorded before a restore of this database, by a process that said it in other words.
    if (!(error instanceof AppError && error.reason === 'EVENT_ID_REUSED')) throw error;
  });
};

/** False if it is not due: it was moved, or somebody else was faster. */
const expireOne = (worker: Worker, expiring: Expiring): Promise<boolean> =>
  worker.db.transaction(async (tx) => {
    const expired = await lockExpired(tx, expiring);
    if (!expired) return false;
    const { secretUid, version, resource } = expired;
    const uid = version === null ? secretUid : versionPurgeUid(secretUid, version);
    await record(worker, expired, uid);
    await markExpired(tx, expired, uid, worker.principal);
    worker.log.info({ job: uid, resource }, 'expired; its purge is due');
    return true;
  });

export const expire = async (worker: Worker, { failures: before, ...expiring }: ExpireJob): Promise<void> => {
  try {
    if (await expireOne(worker, expiring)) metrics.expired.inc();
  } catch (error) {
    const failures = before + 1;
    const delayMs = waitAfter(failures, Math.random());
    const { secretUid, version } = expiring;
    worker.log.warn(
      { job: secretUid, count: version ?? 0, attempt: failures, ms: delayMs, error: describe(error) },
      'an expiry failed; it is tried again',
    );
    await worker.db.transaction((tx) => addExpiryTurn(tx, expiring, delayMs, failures));
  }
};
