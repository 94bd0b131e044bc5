// The purge: SCHEDULED → DESTROYING_KEYS → REMOVING_ROWS → FINISHING → DONE. Each step is durable before the next begins and
// can be repeated, so a purge goes on where it was after any crash. What fails is tried again, within a minute, for ever.
import { z } from 'zod';
import { AppError, toAppError } from '../../kernel/errors.ts';
import { describe } from '../../kernel/log.ts';
import { metrics } from '../../kernel/metrics.ts';
import {
  addTurn,
  beginPurge,
  lockPurge,
  lockResource,
  recordFailure,
  recordHeld,
  selectHolds,
  selectOpenPurge,
  type Purge,
  type PurgeState,
} from '../../store/sql/purge.ts';
import { waitAfter } from '../pace.ts';
import type { Turn, Worker } from '../worker.ts';
import { finish } from './purge-finish.ts';
import { destroyKeys } from './purge-keys.ts';
import { removeRows } from './purge-rows.ts';

const job = z.strictObject({ uid: z.uuid(), failures: z.int().min(0).default(0) });
export type PurgeJob = z.infer<typeof job>;

/** `uid` is the resource's; `failures` how many attempts have failed in a row. */
export const parsePurgeJob = (payload: unknown): PurgeJob => job.parse(payload);

/** Leaves the purge in a later state, or in the same one at the end of the turn. */
type Step = (worker: Worker, purge: Purge, turn: Turn) => Promise<void>;

const NAMED = 3;
const heldBy = (holds: readonly string[]): string =>
  `held by ${holds.slice(0, NAMED).join(', ')}${holds.length > NAMED ? ' and more' : ''}; it begins when the last hold is deleted`;

/** Nobody writes below the resource from its delete on: writers hold its row and find it not ACTIVE. */
const begin: Step = (worker, { uid, resource: name, ...purge }) =>
  worker.db.transaction(async (tx) => {
    const resource = await lockResource(tx, { uid, resource: name, ...purge });
    const scheduled = await lockPurge(tx, uid, 'SCHEDULED');
    if (!scheduled || scheduled.due_in_ms > 0) return;
    if (resource?.state !== 'DELETED')
      throw new AppError('NOT_DELETED', `${name} is not deleted, although its purge is due; nothing was purged`);
    const holds = await selectHolds(tx, scheduled, NAMED + 1);
    if (holds.length > 0) {
      await recordHeld(tx, uid, heldBy(holds));
      return;
    }
    await beginPurge(tx, scheduled, resource.root_key);
  });

const STEPS: Record<Exclude<PurgeState, 'DONE'>, Step> = {
  SCHEDULED: begin,
  DESTROYING_KEYS: destroyKeys,
  REMOVING_ROWS: removeRows,
  FINISHING: finish,
};

/** Answers in how many milliseconds the purge wants another turn; undefined if none. */
const advance = async (worker: Worker, uid: string, turn: Turn): Promise<number | undefined> => {
  while (!turn.isOver()) {
    const purge = await selectOpenPurge(worker.db.read, uid);
    if (!purge || purge.state === 'DONE') return undefined;
    if (purge.state === 'SCHEDULED' && purge.held) return undefined;
    if (purge.state === 'SCHEDULED' && purge.due_in_ms > 0) return purge.due_in_ms;
    worker.log.debug({ job: uid, resource: purge.resource, state: purge.state }, 'purge step');
    await STEPS[purge.state](worker, purge, turn);
  }
  return 0;
};

export const purge = async (worker: Worker, { uid, failures: before }: PurgeJob, turn: Turn): Promise<void> => {
  try {
    const delayMs = await advance(worker, uid, turn);
    if (delayMs !== undefined) await worker.db.transaction((tx) => addTurn(tx, uid, delayMs, 0));
  } catch (error) {
    if (turn.signal.aborted) {
      await worker.db.transaction((tx) => addTurn(tx, uid, 0, before));
      return;
    }
    const failures = before + 1;
    const delayMs = waitAfter(failures, Math.random());
    metrics.purges.inc({ result: 'failed' });
    worker.log.warn({ job: uid, attempt: failures, ms: delayMs, error: describe(error) }, 'a purge has failed and is tried again');
    await worker.db.transaction(async (tx) => {
      await recordFailure(tx, uid, toAppError(error, uid).message);
      await addTurn(tx, uid, delayMs, failures);
    });
  }
};
