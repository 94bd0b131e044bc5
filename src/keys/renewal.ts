// Renews the root keys under a master key that was replaced: each gets a new version of new material (an imported one: of a new
// pepper), its scope keys are wrapped by that, and the old version is destroyed. A root key that were only sealed anew would go
// on to open the scope keys in every old backup. In transactions of one version and some scopes, each of which can be the last for a while.
import { setImmediate as yieldToCalls } from 'node:timers/promises';
import type { Db, Queryable } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { OwnEvent } from './own-actions.ts';
import type { KeyBackend, RootKeyRef } from './backend.ts';
import { importJobName, NIL, rootKeyName, scopeName } from './names.ts';
import { rewrapScopeKey } from './scope-keys.ts';
import { expireImportJob, lockSealedJobs, updateSealedKey } from './sql/import-jobs.ts';
import { holdCurrent, tryLead } from './sql/master-keys.ts';
import { selectNextVersion } from './sql/material.ts';
import {
  addVersion,
  forgetVersion,
  lockOldVersion,
  lockScopes,
  moveScopes,
  selectTarget,
  updateRef,
  type OldVersion,
  type Place,
} from './sql/renewal.ts';
import { recordWraps } from './sql/versions.ts';

export type { Place } from './sql/renewal.ts';

export interface Renewing {
  readonly db: Db;
  readonly backend: KeyBackend;
}

const SCOPES = 200;
const AT_ONCE = 20;
const CALL_MS = 10_000;

const isCorrupted = (error: unknown): boolean => error instanceof AppError && error.reason === 'DATA_CORRUPTED';

export const BEGIN: Place = { keyUid: NIL, version: 0, scopeUid: NIL, scopeVersion: 0 };

export interface Renewal {
  /** Where the next step goes on; undefined at the end. */
  next: Place | undefined;
  /** Scopes that do not open, and so hold their version up. */
  stuck: string[];
}

export interface Move extends Renewal {
  moved: number;
}

/** The version that scopes move to, made if there is none; undefined while the material of both is away. */
const targetOf = async (keys: Renewing, tx: Queryable, old: OldVersion, from: RootKeyRef): Promise<RootKeyRef | undefined> => {
  if (old.is_expired) return undefined;
  const there = await selectTarget(tx, old.key_uid, old.version);
  if (there) return there;
  await holdCurrent(tx);
  const version = await selectNextVersion(tx, old.key_uid);
  const target = { keyUid: old.key_uid, version, ref: await keys.backend.renew(from, version, Date.now() + CALL_MS) };
  await addVersion(tx, target, old.version);
  return target;
};

/** Wraps the next scope keys under one version by another; those that do not open stay. */
export const moveSome = async (
  keys: Pick<Renewing, 'backend'>,
  tx: Queryable,
  from: RootKeyRef,
  to: RootKeyRef,
  place: Place,
): Promise<Move> => {
  const rows = await lockScopes(tx, place, SCOPES);
  const moved: { scopeUid: string; version: number; wrappedKey: Buffer }[] = [];
  const stuck: string[] = [];
  for (const [i, row] of rows.entries()) {
    if (i % AT_ONCE === 0) await yieldToCalls();
    const { scope_uid: scopeUid, instance_uid: instanceUid, version, wrapped_key: wrapped } = row;
    try {
      const wrappedKey = await rewrapScopeKey(keys.backend, { from, to, scopeUid, instanceUid, version, wrapped }, Date.now() + CALL_MS);
      moved.push({ scopeUid, version, wrappedKey });
    } catch (error) {
      if (!isCorrupted(error)) throw error;
      stuck.push(scopeName(scopeUid));
    }
  }
  if (moved.length > 0) await moveScopes(tx, to.version, moved);
  const last = rows.length === SCOPES ? rows.at(-1) : undefined;
  return { next: last && { ...place, scopeUid: last.scope_uid, scopeVersion: last.version }, stuck, moved: moved.length };
};

/** One step; undefined if another replica is at it. */
export const renewSome = (keys: Renewing, masterKeyId: string, place: Place, ownEvent: OwnEvent): Promise<Renewal | undefined> =>
  keys.db.transaction(async (tx) => {
    if (!(await tryLead(tx))) return undefined;
    const old = await lockOldVersion(tx, masterKeyId, place);
    if (!old) return { next: undefined, stuck: [] };
    const from: RootKeyRef = { keyUid: old.key_uid, version: old.version, ref: old.ref };
    const to = await targetOf(keys, tx, old, from);
    const after: Place = { ...BEGIN, keyUid: from.keyUid, version: from.version + 1 };
    if (!to) {
      // Without its material nothing can be moved. What is left of it goes under the current master key as it is.
      await holdCurrent(tx);
      await updateRef(tx, { ...from, ref: await keys.backend.reseal(from, Date.now() + CALL_MS) });
      return { next: after, stuck: [] };
    }
    const isSame = place.keyUid === from.keyUid && place.version === from.version;
    const here: Place = isSame ? place : { ...BEGIN, keyUid: from.keyUid, version: from.version };
    const { next, stuck, moved } = await moveSome(keys, tx, from, to, here);
    await recordWraps(tx, to.keyUid, to.version, moved);
    if (next) return { next, stuck };
    if (await forgetVersion(tx, from.keyUid, from.version)) {
      await keys.backend.destroy(from, Date.now() + CALL_MS);
      const name = rootKeyName({ keyRing: old.key_ring, key: old.key_id });
      const attributes = { key: from.keyUid, version: String(to.version), destroyed: String(from.version) };
      enqueue(tx, ownEvent('keys.rootkey.rotate', name, { ...(old.owner === null ? {} : { instanceUid: old.owner }), attributes }));
    }
    return { next: after, stuck };
  });

/** The private keys of import jobs, which take material for a while yet; false if another replica is at it. */
export const renewImportJobs = async (keys: Renewing, masterKeyId: string, ownEvent: OwnEvent): Promise<boolean> => {
  for (;;) {
    const count = await keys.db.transaction(async (tx) => {
      if (!(await tryLead(tx))) return undefined;
      const jobs = await lockSealedJobs(tx, masterKeyId);
      if (jobs.length > 0) await holdCurrent(tx);
      for (const { job_uid: jobUid, key_ring: keyRing, job_id: job, sealed_key: sealed } of jobs) {
        try {
          await updateSealedKey(tx, jobUid, await keys.backend.resealImportKey({ jobUid, sealed }, Date.now() + CALL_MS));
        } catch (error) {
          if (!isCorrupted(error)) throw error;
          // It would take nothing any more.
          await expireImportJob(tx, jobUid);
          enqueue(tx, ownEvent('keys.importjob.expire', importJobName({ keyRing, job }), {}));
        }
      }
      return jobs.length;
    });
    if (count === undefined) return false;
    if (count === 0) return true;
  }
};
