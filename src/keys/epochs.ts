// The purge epoch: master keys are replaced on a schedule, root keys renewed under the new one, and the old one destroyed. What
// was destroyed before opens from then on with no backup of the databases. Every step is durable before the next begins and
// can be repeated; one replica at a time makes it, all of them watch the schedule.
import type { Event } from '../kernel/audit.ts';
import { notFound } from '../kernel/errors.ts';
import type { Log } from '../kernel/log.ts';
import { enqueue, type Relay } from '../kernel/outbox.ts';
import type { KeyFiles } from './key-files.ts';
import { openLoop, retrying } from '../kernel/loop.ts';
import { makeMasterKey, type MasterKeys } from './master-keys.ts';
import { masterKeyName } from './names.ts';
import type { OwnEvent } from './own-actions.ts';
import { BEGIN, renewImportJobs, renewSome, type Place, type Renewing } from './renewal.ts';
import { lead, recordDestroyed, recordEmpty, selectDelays, selectDue, selectMasterKeys, tryLead } from './sql/master-keys.ts';

const LONGEST_MS = 60_000;
const RETRY_MS = 5_000;
const SHORTEST_MS = 50;

export interface Schedule {
  /** Null: only on request. */
  readonly rotateEveryMs: number | null;
  readonly keepForMs: number;
}

export interface EpochOptions extends Schedule {
  keys: Renewing & { relay: Relay };
  masterKeys: MasterKeys;
  files: KeyFiles;
  ownEvent: OwnEvent;
  log: Log;
}

/** What tells of a rotation, or of one that was done before. */
export type RotationEvent = (id: string, previous: string, done: boolean) => Event | undefined;

/** Replaces this master key, if it is still the current one. */
export const rotateMasterKey = async ({ keys, files, log }: EpochOptions, currentId: string, event: RotationEvent): Promise<void> => {
  keys.relay.assertHealthy();
  await keys.db.transaction(async (tx) => {
    await lead(tx);
    const rows = await selectMasterKeys(tx);
    const row = rows.find(({ id }) => id === currentId);
    if (!row || row.state === 'NEW') throw notFound('master key', masterKeyName(currentId));
    const isCurrent = row.state === 'CURRENT';
    const { id } = isCurrent ? await makeMasterKey(keys.db, tx, files, rows) : (rows.find(({ state }) => state === 'CURRENT') ?? row);
    if (isCurrent) log.info({ resource: masterKeyName(id) }, 'a new master key is the current one');
    const told = event(id, currentId, isCurrent);
    if (told) enqueue(tx, told);
  });
  keys.relay.kick();
};

/** False if another replica is at it. */
export const renewRootKeys = async ({ keys, ownEvent, log }: EpochOptions, stopped: () => boolean): Promise<boolean> => {
  const old = (await selectMasterKeys(keys.db.read)).filter(({ state, empty_time }) => state === 'PREVIOUS' && empty_time === null);
  for (const { id } of old) {
    if (!(await renewImportJobs(keys, id, ownEvent))) return false;
    for (let place: Place | undefined = BEGIN; place && !stopped();) {
      keys.relay.assertHealthy();
      const step = await renewSome(keys, id, place, ownEvent);
      if (!step) return false;
      for (const resource of step.stuck)
        log.error({ resource }, 'this scope key does not open, and keeps its old root key version and master key from being destroyed');
      keys.relay.kick();
      place = step.next;
    }
  }
  if (old.length > 0)
    for (const id of await recordEmpty(keys.db.read)) log.info({ resource: masterKeyName(id) }, 'no root key is left under it');
  return true;
};

/** Destroys the master keys whose time has run out; and again, what has come back as a file. */
export const destroyMasterKeys = async ({ keys, files, keepForMs, ownEvent, log }: EpochOptions): Promise<void> => {
  keys.relay.assertHealthy();
  await keys.db.transaction(async (tx) => {
    if (!(await tryLead(tx))) return;
    const rows = await selectMasterKeys(tx);
    const due = await selectDue(tx, keepForMs);
    const there = files.list();
    const back = rows.filter(({ id, state }) => state === 'DESTROYED' && there.includes(id)).map(({ id }) => id);
    if (due.length + back.length === 0) return;
    // A folder without the current key is not the right one: of a missing file nothing could be concluded.
    for (const { id } of rows.filter(({ state }) => state === 'CURRENT')) files.read(id).fill(0);
    for (const id of [...due, ...back]) {
      await files.destroy(id);
      await recordDestroyed(tx, id);
      enqueue(tx, ownEvent('keys.masterkey.destroy', masterKeyName(id), { attributes: { masterKey: id } }));
      log.info({ resource: masterKeyName(id) }, 'master key destroyed');
    }
  });
  keys.relay.kick();
};

/** Does what is due now; answers in how many milliseconds to look again. */
export const advance = async (options: EpochOptions, stopped: () => boolean): Promise<number> => {
  const { keys, masterKeys, rotateEveryMs, keepForMs, ownEvent } = options;
  const { rotate } = await selectDelays(keys.db.read, rotateEveryMs, keepForMs);
  const isBegun = (await selectMasterKeys(keys.db.read)).some(({ state }) => state === 'NEW');
  if (isBegun || (rotate !== null && rotate <= 0)) {
    await rotateMasterKey(options, await masterKeys.current(), (id, previous, done) =>
      done ? ownEvent('keys.masterkey.rotate', masterKeyName(id), { attributes: { masterKey: id, previous } }) : undefined,
    );
  }
  if (!(await renewRootKeys(options, stopped))) return RETRY_MS;
  await destroyMasterKeys(options);
  await masterKeys.refresh();
  const next = await selectDelays(keys.db.read, rotateEveryMs, keepForMs);
  return Math.max(SHORTEST_MS, Math.min(LONGEST_MS, next.rotate ?? Infinity, next.destroy ?? Infinity));
};

export interface Epochs extends AsyncDisposable {
  /** Something may be due; the first time, the watch over the schedule begins. */
  kick(): void;
  /** Replaces this master key, if it is still the current one; the rest is done behind it. */
  rotate(currentId: string, event: RotationEvent): Promise<void>;
}

export const openEpochs = (options: EpochOptions): Epochs => {
  const failure = { log: options.log, message: 'master keys could not be looked after; trying again', retryMs: RETRY_MS };
  const loop = openLoop(retrying((signal) => advance(options, () => signal.aborted), failure));
  return {
    kick: () => loop.kick(),
    rotate: async (currentId, event) => {
      await rotateMasterKey(options, currentId, event);
      loop.kick();
    },
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
};
