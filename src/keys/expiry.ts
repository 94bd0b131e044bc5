// What expires: material of imported root keys, and import jobs. It is of no use from that moment on, whoever looks; here it is
// forgotten.
import type { Db, Transaction } from '../kernel/db.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { KeyBackend } from './backend.ts';
import type { Chore } from './chores.ts';
import { importJobName, rootKeyName } from './names.ts';
import type { OwnEvent } from './own-actions.ts';
import { expireImportJobs } from './sql/import-jobs.ts';
import { addKeyEvents } from './sql/key-events.ts';
import { forgetMaterial, lockDueMaterial, selectExpiryDelay } from './sql/material.ts';
import { raiseEpoch } from './sql/scopes.ts';

const CALL_MS = 10_000;
const AT_ONCE = 100;

/** True if there is more. */
const expireMaterial = async (backend: KeyBackend, tx: Transaction, ownEvent: OwnEvent): Promise<boolean> => {
  const due = await lockDueMaterial(tx, AT_ONCE);
  for (const { key_uid: keyUid, key_ring: keyRing, key_id: key, version, ref } of due) {
    const left = await backend.forgetMaterial({ keyUid, version, ref }, Date.now() + CALL_MS);
    await forgetMaterial(tx, { keyUid, version, ref: left });
    await addKeyEvents(tx, keyUid, 'MATERIAL_EXPIRED');
    const attributes = { key: keyUid, version: String(version) };
    enqueue(tx, ownEvent('keys.rootkey.material.expire', rootKeyName({ keyRing, key }), { attributes }));
  }
  // Once for each entry, as the replay counts them.
  if (due.length > 0) await raiseEpoch(tx, due.length);
  return due.length === AT_ONCE;
};

export const expiryChore = (db: Db, backend: KeyBackend, ownEvent: OwnEvent): Chore => ({
  name: 'forget what has expired',
  next: () => selectExpiryDelay(db.read),
  run: async (tx) => {
    for (const { key_ring: keyRing, job_id: job } of await expireImportJobs(tx))
      enqueue(tx, ownEvent('keys.importjob.expire', importJobName({ keyRing, job }), {}));
    return expireMaterial(backend, tx, ownEvent);
  },
});
