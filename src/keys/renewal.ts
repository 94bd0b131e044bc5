// Renews the root keys under a master key that was replaced: each gets a new version of new material, its scope keys are
// wrapped by that, and the old version is destroyed. A root key that were only sealed anew would go on to open the scope keys
// in every old backup. In transactions of one version and some scopes, each of which can be the last for a while.
import { setImmediate as yieldToCalls } from 'node:timers/promises';
import type { Db, Queryable } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { OwnEvent } from '../kernel/own-event.ts';
import type { KeyBackend, RootKeyRef } from './backend.ts';
import { NIL, rootKeyName, scopeName } from './names.ts';
import { rewrapScopeKey } from './scope-keys.ts';
import { holdCurrent, tryLead } from './sql/master-keys.ts';
import { addVersion, forgetVersion, lockOldVersion, lockScopes, moveScopes, type OldVersion, type Place } from './sql/renewal.ts';
import { recordWraps } from './sql/versions.ts';

export type { Place } from './sql/renewal.ts';

export interface Renewing {
  readonly db: Db;
  readonly backend: KeyBackend;
}

const SCOPES = 200;
const AT_ONCE = 20;
const CALL_MS = 10_000;

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

/** The version that scopes move to: the primary one, unless that is the old one itself. */
const targetOf = async (keys: Renewing, tx: Queryable, old: OldVersion): Promise<RootKeyRef> => {
  const keyUid = old.key_uid;
  if (old.primary_version !== old.version) return { keyUid, version: old.primary_version, ref: old.primary_ref };
  const version = old.version + 1;
  await holdCurrent(tx);
  const target = { keyUid, version, ref: await keys.backend.create(keyUid, version, Date.now() + CALL_MS) };
  await addVersion(tx, target);
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
      if (!(error instanceof AppError && error.reason === 'DATA_CORRUPTED')) throw error;
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
    const to = await targetOf(keys, tx, old);
    const isSame = place.keyUid === from.keyUid && place.version === from.version;
    const here: Place = isSame ? place : { ...BEGIN, keyUid: from.keyUid, version: from.version };
    const { next, stuck, moved } = await moveSome(keys, tx, from, to, here);
    await recordWraps(tx, to.keyUid, to.version, moved);
    if (next) return { next, stuck };
    if (await forgetVersion(tx, from.keyUid, from.version)) {
      await keys.backend.destroy(from, Date.now() + CALL_MS);
      const name = rootKeyName({ keyRing: old.key_ring, key: old.key_id });
      const attributes = { key: from.keyUid, version: String(to.version), destroyed: String(from.version) };
      await enqueue(tx, ownEvent('keys.rootkey.rotate', name, { ...(old.owner === null ? {} : { instanceUid: old.owner }), attributes }));
    }
    return { next: { ...BEGIN, keyUid: from.keyUid, version: from.version + 1 }, stuck };
  });
