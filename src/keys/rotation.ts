// Rotation of a root key: a new primary version, and then all its scope keys wrapped by that, some at a time, while reads go on. In
// transactions each of which can be the last for a while: who comes next goes on with the scopes that are still under older versions.
import type { Db, Transaction } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { KeyBackend, RootKeyRef } from './backend.ts';
import type { Chore } from './chores.ts';
import { rootKeyName } from './names.ts';
import type { OwnEvent } from './own-actions.ts';
import { BEGIN, moveSome, type Place } from './renewal.ts';
import { addKeyEvents } from './sql/key-events.ts';
import { holdCurrent } from './sql/master-keys.ts';
import { addVersion } from './sql/renewal.ts';
import { selectRootKey, type RootKeyRow } from './sql/root-keys.ts';
import {
  beginRotation,
  endRotation,
  lockDueRotation,
  lockMovingKey,
  selectNextRotation,
  selectVersionToLeave,
  type MovingKey,
} from './sql/rotation.ts';
import { recordWraps } from './sql/versions.ts';

const CALL_MS = 10_000;

/** Makes the new primary version of a key whose row is held; answers its number. */
export const rotate = async (backend: KeyBackend, tx: Transaction, row: RootKeyRow, deadline: number): Promise<number> => {
  const name = rootKeyName({ keyRing: row.key_ring, key: row.key_id });
  if (row.origin === 'IMPORTED')
    throw new AppError('MATERIAL_REQUIRED', `${name} was imported: its rotation needs new material from you`, {
      metadata: { resource: name },
    });
  const version = row.primary_version + 1;
  await holdCurrent(tx);
  await addVersion(tx, { keyUid: row.key_uid, version, ref: await backend.create(row.key_uid, version, deadline) }, row.primary_version);
  await beginRotation(tx, row.key_uid);
  await addKeyEvents(tx, row.key_uid, 'ROTATED');
  return version;
};

/** Rotates keys as their policies say; to be followed by the move of their scopes. */
export const policyChore = (db: Db, backend: KeyBackend, ownEvent: OwnEvent): Chore => ({
  name: 'rotate root keys',
  next: () => selectNextRotation(db.read),
  run: async (tx) => {
    const path = await lockDueRotation(tx);
    const row = path && (await selectRootKey(tx, path));
    if (!row) return false;
    const version = await rotate(backend, tx, row, Date.now() + CALL_MS);
    const attributes = { key: row.key_uid, version: String(version), cause: 'policy' };
    enqueue(tx, ownEvent('keys.rootkey.rotate', rootKeyName({ keyRing: row.key_ring, key: row.key_id }), { attributes }));
    return true;
  },
});

/** Where the move of a key's scopes has come to in this process; another one begins from the start, and finds little to do. */
type Places = Map<string, Place>;

const moveOn = async (backend: KeyBackend, tx: Transaction, key: MovingKey, places: Places, log: Log): Promise<boolean> => {
  const keyUid = key.key_uid;
  const place = places.get(keyUid) ?? { ...BEGIN, keyUid };
  const old = await selectVersionToLeave(tx, key, place.version);
  if (!old) return false;
  const from: RootKeyRef = { keyUid, ...old };
  const to: RootKeyRef = { keyUid, version: key.primary_version, ref: key.primary_ref };
  const here = old.version === place.version ? place : { ...BEGIN, keyUid, version: old.version };
  const { next, stuck, moved } = await moveSome({ backend }, tx, from, to, here);
  await recordWraps(tx, keyUid, to.version, moved);
  for (const resource of stuck) log.error({ resource }, 'this scope key does not open, and stays under its old root key version');
  places.set(keyUid, next ?? { ...BEGIN, keyUid, version: old.version + 1 });
  return true;
};

/** Moves scopes to the primary version of their root key. */
export const moveChore = (backend: KeyBackend, ownEvent: OwnEvent, log: Log): Chore => {
  const places: Places = new Map();
  return {
    name: 'move scopes to the primary version of their root key',
    // It is kicked when something begins to move; what another replica has begun, and left, is found at the next look.
    next: async () => null,
    run: async (tx) => {
      const key = await lockMovingKey(tx);
      if (!key) return false;
      if (await moveOn(backend, tx, key, places, log)) return true;
      places.delete(key.key_uid);
      await endRotation(tx, key.key_uid);
      const attributes = { key: key.key_uid, version: String(key.primary_version) };
      enqueue(tx, ownEvent('keys.rootkey.move', rootKeyName({ keyRing: key.key_ring, key: key.key_id }), { attributes }));
      return true;
    },
  };
};
