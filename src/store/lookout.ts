// Looks at purges for all who watch one: those that look at the same time do it in one statement.
import { batcher } from '../kernel/batch.ts';
import type { Db } from '../kernel/db.ts';
import { selectPurges } from './sql/purges.ts';
import type { Store } from './store.ts';

export const purgeLookout = (db: Db): Store['lookAtPurge'] => {
  const look = batcher({
    late: 'DATABASE_UNAVAILABLE',
    max: 256,
    queue: 16_384,
    run: async (uids: string[]) => {
      const byUid = new Map((await selectPurges(db.read, uids)).map((row) => [row.uid, row]));
      return uids.map((uid) => ({ row: byUid.get(uid) }));
    },
  });
  return async (uid, deadline) => (await look(uid, deadline)).row;
};
