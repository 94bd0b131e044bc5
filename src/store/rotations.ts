// Rotates what is due. The store does it, and not the worker: it has to generate and seal, which the worker must never see, and a
// worker that only called would need a right on every secret. A replica claims one rotation at a time for a minute, in a short
// transaction; it ends in the one that stores the version, if it is still due then. So a crash only delays it, and nobody makes it twice.
import type { Queryable } from '../kernel/db.ts';
import { toAppError, type AppError } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import { describe, type Log } from '../kernel/log.ts';
import { openLoop, retrying, type Loop } from '../kernel/loop.ts';
import { metrics } from '../kernel/metrics.ts';
import { enqueue } from '../kernel/outbox.ts';
import { newUid } from '../kernel/uid.ts';
import type { Caller } from './envelope.ts';
import { generate } from './generate.ts';
import { untilInTime } from './key-version.ts';
import { pathOf } from './messages.ts';
import { secretName, versionName } from './names.ts';
import { prepareVersion, storeVersion } from './new-version.ts';
import type { OwnEvent } from './own-actions.ts';
import { dueIn, recipeOf, retryIn } from './rotation-policy.ts';
import { claimDue, recordRotated, recordRotationFailure, selectNextRotation, type DueRotation } from './sql/rotations.ts';
import { selectVersion } from './sql/secret-versions.ts';
import { lockSecret, selectSecret, type SecretRow } from './sql/secrets.ts';
import { isWhollyActive } from './state.ts';
import type { Store } from './store.ts';

const LOOK_MS = 5_000;
/** What is locked by somebody else is due all the same. */
const SHORTEST_MS = 200;
const CLAIM_SECONDS = 60;
/** Where nothing is to be rotated for now. */
const PUT_OFF_SECONDS = 3_600;
const CALL_MS = 20_000;

export interface RotationOptions extends Pick<Store, 'db' | 'envelope' | 'relay'> {
  readonly self: SpiffeId;
  readonly ownEvent: OwnEvent;
  readonly log: Log;
}

/** Nobody else has rotated it, or changed its policy, and it is in use. */
const isDue = (row: SecretRow | undefined, due: DueRotation): row is SecretRow =>
  row !== undefined &&
  row.secret_uid === due.secret_uid &&
  isWhollyActive(row) &&
  !row.is_expired &&
  row.next_rotation_time?.getTime() === due.next_rotation_time.getTime();

/** Who has disabled the newest version wants no other one in its place. */
const isInUse = async (tx: Queryable, row: SecretRow): Promise<boolean> =>
  row.latest_version === 0 || (await selectVersion(tx, row, row.latest_version))?.state === 'ENABLED';

const callerOf = ({ self }: RotationOptions, resource: string): Caller => ({
  principal: self,
  resource,
  facts: {},
  correlationId: newUid(),
  traceId: '',
  deadline: Date.now() + CALL_MS,
});

const rotate = async (options: RotationOptions, due: DueRotation, caller: Caller): Promise<void> => {
  const { db, envelope, ownEvent } = options;
  const path = pathOf(due);
  const found = await selectSecret(db.read, path);
  if (!isDue(found, due)) return;
  const value = await generate(options, found, recipeOf(caller.resource, found), caller);
  const prepared = await prepareVersion(envelope, found, value, null, caller).finally(() => value.bytes.fill(0));
  await db.transaction(async (tx) => {
    const row = await lockSecret(tx, path);
    if (!isDue(row, due) || !(await isInUse(tx, row))) return;
    const { version } = await storeVersion(tx, row, prepared);
    recordRotated(tx, row, row.rotation_seconds && dueIn(row.rotation_seconds, Math.random()));
    const facts = { instanceUid: row.instance_uid, correlationId: caller.correlationId, attributes: { version: String(version) } };
    enqueue(tx, ownEvent('secrets.secret.rotate.scheduled', versionName(path, version), facts));
  });
};

const recordFailure = ({ db, ownEvent }: RotationOptions, due: DueRotation, error: AppError, caller: Caller): Promise<void> =>
  db.transaction(async (tx) => {
    const row = await lockSecret(tx, pathOf(due));
    if (!isDue(row, due)) return;
    recordRotationFailure(tx, row, error.message, retryIn(row.rotation_failures + 1));
    const facts = { instanceUid: due.instance_uid, correlationId: caller.correlationId, outcome: 'FAILURE' } as const;
    enqueue(tx, ownEvent('secrets.secret.rotate.scheduled', caller.resource, { ...facts, code: error.grpcCode, reason: error.reason }));
  });

/** False if none is due. */
const rotateOne = async (options: RotationOptions): Promise<boolean> => {
  const { db, relay, log } = options;
  relay.assertHealthy();
  const due = await db.transaction((tx) => claimDue(tx, CLAIM_SECONDS, PUT_OFF_SECONDS));
  if (!due?.is_wanted) return due !== undefined;
  const caller = callerOf(options, secretName(pathOf(due)));
  try {
    await untilInTime(() => rotate(options, due, caller));
  } catch (error) {
    log.warn({ resource: caller.resource, error: describe(error) }, 'a rotation failed; it is tried again');
    await recordFailure(options, due, toAppError(error, caller.correlationId), caller);
  }
  relay.kick();
  return true;
};

export const openRotations = (options: RotationOptions): Loop => {
  const work = async (signal: AbortSignal): Promise<number> => {
    while (!signal.aborted && (await rotateOne(options)));
    const ms = (await selectNextRotation(options.db.read)) ?? LOOK_MS;
    metrics.rotationLag.set(Math.max(0, -ms / 1_000));
    return Math.min(LOOK_MS, Math.max(SHORTEST_MS, ms));
  };
  const failure = { log: options.log, message: 'secrets could not be rotated; trying again', retryMs: LOOK_MS };
  const loop = openLoop(retrying(work, failure));
  loop.kick();
  return loop;
};
