// Destroys versions that secrets keep no longer: soon after a version was added or a policy changed, and when they reach their age.
// Replicas work beside each other, on different secrets; what one has left undone, another one finds.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Db, Transaction } from '../kernel/db.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import { describe, type Log } from '../kernel/log.ts';
import { openLoop, retrying, type Loop } from '../kernel/loop.ts';
import { metrics } from '../kernel/metrics.ts';
import { enqueue, type Relay } from '../kernel/outbox.ts';
import { destroy, destructionOf } from './destroy.ts';
import { findHold, placeOf } from './hold.ts';
import { policyOf } from './keep-policy.ts';
import { pathOf } from './messages.ts';
import { secretName, versionName } from './names.ts';
import type { OwnEvent } from './own-actions.ts';
import { lockNextTrim, type SecretRow } from './sql/secrets.ts';
import { selectNextTrim, selectSurplus, setTrim, type Surplus } from './sql/trims.ts';
import { isWhollyActive } from './state.ts';

interface Options {
  readonly db: Db;
  readonly relay: Relay;
  readonly self: SpiffeId;
  readonly ownEvent: OwnEvent;
  readonly log: Log;
}

/** Destroyed in one transaction, so that its secret is not locked for long. */
const AT_ONCE = 20;
const LOOK_MS = 1_000;
const RETRY_S = 60;
/** Of what is held, or below something deleted. */
const WAIT_S = 3_600;

const trim = async ({ self, ownEvent }: Options, tx: Transaction, secret: SecretRow, { version, cause }: Surplus): Promise<void> => {
  const { attributes } = await destroy(tx, secret, version, self);
  const facts = { instanceUid: secret.instance_uid, attributes: { ...attributes, cause } };
  enqueue(tx, ownEvent('secrets.version.trim', versionName(pathOf(secret), version), facts));
};

/** Answers what is destroyed. */
const trimAll = async (options: Options, tx: Transaction, secret: SecretRow): Promise<Surplus[]> => {
  const policy = policyOf(secret);
  if (!policy || !isWhollyActive(secret)) {
    setTrim(tx, secret, policy && WAIT_S);
    return [];
  }
  const found = await selectSurplus(tx, secret, policy, AT_ONCE + 1);
  const due = found.slice(0, AT_ONCE).filter(({ due_in }) => due_in <= 0);
  if (due.length > 0 && (await findHold(tx, placeOf(secret), destructionOf(secret)))) {
    setTrim(tx, secret, WAIT_S);
    return [];
  }
  for (const surplus of due) await trim(options, tx, secret, surplus);
  setTrim(tx, secret, found[due.length]?.due_in ?? null);
  return due;
};

/** False if there is none to look at. One that fails is put off, and the others go on. */
const trimOne = async (options: Options): Promise<boolean> => {
  const { db, relay, log } = options;
  let secret: SecretRow | undefined;
  try {
    const trimmed = await db.transaction(async (tx) => {
      relay.assertHealthy();
      secret = await lockNextTrim(tx);
      return secret ? trimAll(options, tx, secret) : [];
    });
    for (const { cause } of trimmed) metrics.versionsTrimmed.inc({ cause });
    return secret !== undefined;
  } catch (error) {
    const failed = secret;
    if (!failed) throw error;
    log.warn({ resource: secretName(pathOf(failed)), error: describe(error) }, 'versions could not be trimmed; trying again');
    await db.transaction((tx) => Promise.resolve(setTrim(tx, failed, RETRY_S)));
    return true;
  }
};

const work = async (options: Options, signal: AbortSignal): Promise<number> => {
  for (let worked = true; worked && !signal.aborted;) {
    const start = performance.now();
    worked = await trimOne(options);
    options.relay.kick();
    if (worked) await sleep(performance.now() - start, undefined, { signal }).catch(() => undefined);
  }
  const ms = await selectNextTrim(options.db.read);
  metrics.trimLag.set(ms === null ? 0 : Math.max(0, -ms / 1000));
  return Math.min(LOOK_MS, Math.max(100, ms ?? LOOK_MS));
};

export const openTrims = (options: Options): Loop => {
  const failure = { log: options.log, message: 'versions could not be trimmed; trying again', retryMs: LOOK_MS };
  const loop = openLoop(retrying((signal) => work(options, signal), failure));
  loop.kick();
  return loop;
};
