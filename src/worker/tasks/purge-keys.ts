// DESTROYING_KEYS: from its end on nothing below the resource can be read, in no backup of the store. The begin is in the
// audit log before the first key goes.
import { v5 as uuidv5 } from 'uuid';
import type { Queryable } from '../../kernel/db.ts';
import { AppError } from '../../kernel/errors.ts';
import {
  absorbPurges,
  erasePayloads,
  lockPurge,
  recordKeysDestroyed,
  recordScopes,
  selectScopes,
  type Purge,
} from '../../store/sql/purge.ts';
import type { Turn, Worker } from '../worker.ts';
import { record } from './purge-entry.ts';

const CONCURRENCY = 8;
const ABSORB = 500;
const ERASE = 500;
const CALL_MS = 10_000;

/** A scope that the key service does not know has no key: an interrupted create leaves such a group. */
const destroyScope = async (worker: Worker, purge: Purge, groupUid: string): Promise<void> => {
  const callContext = { principal: purge.deleted_by, resource: purge.resource, correlationId: purge.uid, traceId: '' };
  const options = { deadline: Date.now() + CALL_MS, correlationId: purge.uid };
  try {
    await worker.scopes.destroyScope({ name: `scopes/${groupUid}`, callContext }, options);
  } catch (error) {
    if (!(error instanceof AppError && error.reason === 'NOT_FOUND')) throw error;
  }
};

/** Repeats a change of some rows until it says that none is left. False if the purge is no longer in this state. */
const repeat = async (worker: Worker, purge: Purge, turn: Turn, change: (tx: Queryable) => Promise<boolean>): Promise<boolean> => {
  for (let more = true; more;) {
    turn.signal.throwIfAborted();
    const done = await worker.db.transaction(async (tx) => ((await lockPurge(tx, purge.uid, 'DESTROYING_KEYS')) ? change(tx) : undefined));
    if (done === undefined) return false;
    more = done;
  }
  return true;
};

export const destroyKeys = async (worker: Worker, purge: Purge, turn: Turn): Promise<void> => {
  if (!(await repeat(worker, purge, turn, async (tx) => (await absorbPurges(tx, purge, ABSORB)) > 0))) return;
  const begun = { eventId: uuidv5('start', purge.event_id), ...(purge.start_time && { occurTime: purge.start_time }), attributes: {} };
  if ((await record(worker, purge, 'purge.start', begun)) === undefined) return;

  for (let at = purge; ;) {
    turn.signal.throwIfAborted();
    if (turn.isOver()) return;
    const scopes = await worker.db.transaction((tx) => selectScopes(tx, at, CONCURRENCY));
    if (scopes.length === 0) break;
    await Promise.all(scopes.map((groupUid) => destroyScope(worker, purge, groupUid)));
    if (!(await worker.db.transaction((tx) => recordScopes(tx, at, scopes)))) return;
    at = { ...at, keys_cursor: scopes.at(-1) ?? null };
  }
  let erased: number | undefined = 0;
  const erase = async (tx: Queryable): Promise<boolean> => {
    erased = await erasePayloads(tx, purge, erased ?? 0, ERASE);
    return erased !== undefined;
  };
  if (!(await repeat(worker, purge, turn, erase))) return;
  await worker.db.transaction(async (tx) => {
    if (await lockPurge(tx, purge.uid, 'DESTROYING_KEYS')) await recordKeysDestroyed(tx, purge.uid);
  });
};
