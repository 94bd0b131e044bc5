// Looks at rows for all who watch one: those that look at the same time do it in one statement.
import { batcher } from '../kernel/batch.ts';
import type { Db } from '../kernel/db.ts';
import { selectPurges } from './sql/purges.ts';
import { selectRekeys, type GroupKey } from './sql/rekeys.ts';
import type { Store } from './store.ts';

const lookout = <Key, Row>(select: (keys: readonly Key[]) => Promise<readonly Row[]>, isOf: (row: Row, key: Key) => boolean) => {
  const look = batcher({
    late: 'DATABASE_UNAVAILABLE',
    max: 256,
    queue: 16_384,
    run: async (keys: Key[]) => {
      const rows = await select(keys);
      return keys.map((key) => ({ row: rows.find((row) => isOf(row, key)) }));
    },
  });
  return async (key: Key, deadline: number): Promise<Row | undefined> => (await look(key, deadline)).row;
};

export const purgeLookout = (db: Db): Store['lookAtPurge'] =>
  lookout(
    (uids: readonly string[]) => selectPurges(db.read, uids),
    (row, uid) => row.uid === uid,
  );

export const rekeyLookout = (db: Db): Store['lookAtRekey'] =>
  lookout(
    (groups: readonly GroupKey[]) => selectRekeys(db.read, groups),
    (row, group) => row.group_uid === group.group_uid,
  );
