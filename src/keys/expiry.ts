// What expires: material of imported root keys and import jobs. It is of no use from that moment on, whoever looks; here it is
// forgotten. One replica at a time does it, all of them watch the clock of the database.
import type { Db } from '../kernel/db.ts';
import type { Log } from '../kernel/log.ts';
import { enqueue, type Relay } from '../kernel/outbox.ts';
import type { KeyBackend } from './backend.ts';
import { openChore, RETRY_MS, untilDue, type Chore } from './chores.ts';
import { importJobName, rootKeyName } from './names.ts';
import type { OwnEvent } from './own-event.ts';
import { expireImportJobs } from './sql/import-jobs.ts';
import { forgetMaterial, lockDueMaterial, selectExpiryDelay, tryExpire } from './sql/material.ts';
import { raiseEpoch } from './sql/scopes.ts';

const CALL_MS = 10_000;

export interface ExpiryOptions {
  db: Db;
  backend: KeyBackend;
  relay: Relay;
  ownEvent: OwnEvent;
  log: Log;
}

/** False if another replica is at it. */
const expireMaterial = ({ db, backend, relay, ownEvent }: ExpiryOptions): Promise<boolean> => {
  relay.assertHealthy();
  return db.transaction(async (tx) => {
    if (!(await tryExpire(tx))) return false;
    const due = await lockDueMaterial(tx);
    for (const { key_uid: keyUid, key_ring: keyRing, key_id: key, owner, version, ref } of due) {
      const left = await backend.forgetMaterial({ keyUid, version, ref }, Date.now() + CALL_MS);
      await forgetMaterial(tx, { keyUid, version, ref: left });
      const facts = { instanceUid: owner ?? '', attributes: { key: keyUid, version: String(version) } };
      await enqueue(tx, ownEvent('keys.rootkey.material.expire', rootKeyName({ keyRing, key }), facts));
    }
    // Once for each entry, as the replay counts them.
    if (due.length > 0) await raiseEpoch(tx, due.length);
    return true;
  });
};

const expireJobs = ({ db, ownEvent }: ExpiryOptions): Promise<void> =>
  db.transaction(async (tx) => {
    for (const { key_ring: keyRing, job_id: job } of await expireImportJobs(tx))
      await enqueue(tx, ownEvent('keys.importjob.expire', importJobName({ keyRing, job }), {}));
  });

/** Forgets what has expired; answers in how many milliseconds to look again. */
export const expire = async (options: ExpiryOptions): Promise<number> => {
  if (!(await expireMaterial(options))) return RETRY_MS;
  await expireJobs(options);
  options.relay.kick();
  return untilDue(await selectExpiryDelay(options.db.read));
};

export const openExpiry = (options: ExpiryOptions): Chore => openChore('what expires', () => expire(options), options.log);
