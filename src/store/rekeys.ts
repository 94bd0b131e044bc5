// Watches over the rekeys of all groups: begins those that a purge has made due, makes one step after another, and leaves half
// of the time to callers. Another replica may have died, and undeletes and purges tell nobody, so beside the events that
// it is told of there is a timer. Replicas work beside each other, on different groups.
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import { describe, type Log } from '../kernel/log.ts';
import { v7 as uuidv7 } from 'uuid';
import { enqueue } from '../kernel/outbox.ts';
import { makeStep, resourceOf, StepFailed, type Rekeying } from './rekey.ts';
import { beginRekey, lockWanted, recordRekeyFailure } from './sql/rekeys.ts';

const LOOK_MS = 5_000;
const RETRY_MS = 5_000;

export interface RekeyOptions extends Rekeying {
  readonly self: SpiffeId;
  readonly log: Log;
  /** How long a key is kept after it could have been replaced because of a purge; null: it is replaced on request only. */
  readonly afterPurgeMs: number | null;
}

/** Begins one that is due. False if there is none. */
const beginOne = ({ db, relay, self, ownEvent }: RekeyOptions, afterMs: number): Promise<boolean> =>
  db.transaction(async (tx) => {
    relay.assertHealthy();
    const group = await lockWanted(tx, afterMs / 1000);
    if (!group) return false;
    const correlationId = uuidv7();
    await beginRekey(tx, group, self, correlationId);
    const facts = { instanceUid: group.instance_uid, correlationId, attributes: { cause: 'something was purged or destroyed in it' } };
    await enqueue(tx, ownEvent('secrets.group.rekey.start', resourceOf(group), facts));
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

export interface Rekeys extends AsyncDisposable {
  /** There may be a step to make. */
  kick(): void;
}

export const openRekeys = (options: RekeyOptions): Rekeys => {
  const stopping = new AbortController();
  const { signal } = stopping;
  let wake = new AbortController();

  const work = async (): Promise<void> => {
    if (options.afterPurgeMs !== null) while (!signal.aborted && (await beginOne(options, options.afterPurgeMs)));
    for (let worked = true; worked && !signal.aborted;) {
      const start = performance.now();
      worked = await tryStep(options);
      options.relay.kick();
      if (worked) await sleep(performance.now() - start, undefined, { signal }).catch(() => undefined);
    }
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      wake = new AbortController();
      await work().catch((error: unknown) => options.log.warn({ error: describe(error) }, 'groups could not be rekeyed; trying again'));
      await sleep(LOOK_MS, undefined, { signal: AbortSignal.any([signal, wake.signal]) }).catch(() => undefined);
    }
  };
  const running = run();
  return {
    kick: () => wake.abort(),
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      await running;
    },
  };
};
