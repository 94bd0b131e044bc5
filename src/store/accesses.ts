// How often secrets are accessed: counted in memory, and added every 5 seconds.
import type { Db } from '../kernel/db.ts';
import type { Log } from '../kernel/log.ts';
import { openTally } from '../kernel/tally.ts';
import { addAccesses } from './sql/secret-accesses.ts';

const EVERY_MS = 5_000;

export interface Accesses extends AsyncDisposable {
  count(secret: { instanceUid: string; secretUid: string }): void;
}

export const openAccesses = (db: Db, log: Log): Accesses => {
  const tally = openTally<'accesses'>({
    kinds: ['accesses'],
    everyMs: EVERY_MS,
    write: (tallied) =>
      db.transaction((tx) =>
        addAccesses(
          tx,
          tallied.map(({ key, counts, age }) => ({ secretUid: key.slice(36), instanceUid: key.slice(0, 36), ...counts, age })),
        ),
      ),
    log,
    what: 'accesses of secrets',
  });
  return {
    count: ({ instanceUid, secretUid }) => tally.count(instanceUid + secretUid, ['accesses'], performance.now()),
    [Symbol.asyncDispose]: () => tally[Symbol.asyncDispose](),
  };
};
