// The end of a root key: the material goes first, the references after it, so that whatever comes between, a repetition ends the work.
import type { Db, Transaction } from '../kernel/db.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { KeyBackend } from './backend.ts';
import type { Chore } from './chores.ts';
import { assertNoneRetained } from './in-use.ts';
import { rootKeyName } from './names.ts';
import type { OwnEvent } from './own-actions.ts';
import { addKeyEvents } from './sql/key-events.ts';
import { destroyRootKey, lockDueDestructions, selectNextDestruction } from './sql/life-cycle.ts';
import { selectVersions } from './sql/root-keys.ts';
import { raiseEpoch } from './sql/scopes.ts';

const CALL_MS = 10_000;
const AT_ONCE = 20;

export const destroyMaterial = async (
  backend: KeyBackend,
  tx: Transaction,
  name: string,
  keyUid: string,
  deadline: number,
): Promise<void> => {
  await assertNoneRetained(tx, name, keyUid);
  for (const version of await selectVersions(tx, keyUid)) await backend.destroy({ keyUid, ...version }, deadline);
  await destroyRootKey(tx, keyUid);
  await addKeyEvents(tx, keyUid, 'DESTROYED');
};

/** Destroys root keys when their wait is over. */
export const destructionChore = (db: Db, backend: KeyBackend, ownEvent: OwnEvent): Chore => ({
  name: 'destroy root keys',
  next: () => selectNextDestruction(db.read),
  run: async (tx) => {
    const due = await lockDueDestructions(tx, AT_ONCE);
    for (const { key_uid: keyUid, key_ring: keyRing, key_id: key } of due) {
      const name = rootKeyName({ keyRing, key });
      await destroyMaterial(backend, tx, name, keyUid, Date.now() + CALL_MS);
      await raiseEpoch(tx);
      enqueue(tx, ownEvent('keys.rootkey.destroy', name, { attributes: { key: keyUid } }));
    }
    return due.length === AT_ONCE;
  },
});
