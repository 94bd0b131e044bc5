// Watches over the rekeys of all groups: begins those that a purge has made due, makes one step after another, and leaves half
// of the time to callers. Another replica may have died, and undeletes and purges tell nobody, so beside the events that
// it is told of there is a timer. Replicas work beside each other, on different groups.
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import { describe, type Log } from '../kernel/log.ts';
import { openLoop, retrying, type Loop } from '../kernel/loop.ts';
import { enqueue } from '../kernel/outbox.ts';
import { newUid } from '../kernel/uid.ts';
import { makeStep, resourceOf, StepFailed, type Rekeying } from './rekey.ts';
import { beginRekey, lockWanted, recordRekeyFailure, selectNextStep } from './sql/rekeys.ts';

const LOOK_MS = 5_000;
const RETRY_MS = 5_000;

export interface RekeyOptions extends Rekeying {
  readonly self: SpiffeId;
  readonly log: Log;
  /** How long a key is kept after it could have been replaced because of a purge; null: it is replaced on request only. */
  readonly afterPurgeMs: number | null;
  /** How long the old version is kept when all have moved. */
  readonly keepForMs: number;
}

/** Begins one that is due. False if there is none. */
const beginOne = ({ db, relay, self, ownEvent, keepForMs }: RekeyOptions, afterMs: number): Promise<boolean> =>
  db.transaction(async (tx) => {
    relay.assertHealthy();
    const group = await lockWanted(tx, afterMs / 1000);
    if (!group) return false;
    const correlationId = newUid();
    await beginRekey(tx, group, { startedBy: self, correlationId, keepForMs });
    const facts = { instanceUid: group.instance_uid, correlationId, attributes: { cause: 'something was purged or destroyed in it' } };
    enqueue(tx, ownEvent('secrets.group.rekey.start', resourceOf(group), facts));
    return true;
  });

/** A step that fails is put off, and the others go on. */
const tryStep = async (options: RekeyOptions): Promise<boolean> => {
  try {
    return await makeStep(options);
  } catch (error) {
    if (!(error instanceof StepFailed)) throw error;
    const { rekey, cause } = error;
    options.log.warn(
      { resource: resourceOf(rekey), state: rekey.state, error: describe(cause) },
      'a step of a rekey failed; it is tried again',
    );
    await recordRekeyFailure(
      options.db.read,
      rekey,
      cause instanceof AppError ? cause.message : 'internal error; the log has it',
      RETRY_MS,
    );
    return true;
  }
};

/** Answers in how many milliseconds a step falls due; null if none is planned. */
const work = async (options: RekeyOptions, signal: AbortSignal): Promise<number | null> => {
  if (options.afterPurgeMs !== null) while (!signal.aborted && (await beginOne(options, options.afterPurgeMs)));
  for (let worked = true; worked && !signal.aborted;) {
    const start = performance.now();
    worked = await tryStep(options);
    options.relay.kick();
    if (worked) await sleep(performance.now() - start, undefined, { signal }).catch(() => undefined);
  }
  return selectNextStep(options.db.read);
};

export const openRekeys = (options: RekeyOptions): Loop => {
  const failure = { log: options.log, message: 'groups could not be rekeyed; trying again', retryMs: LOOK_MS };
  const loop = openLoop(retrying(async (signal) => Math.min(LOOK_MS, (await work(options, signal)) ?? LOOK_MS), failure));
  loop.kick();
  return loop;
};
