// Which of several audit processes writes. A lease in the log's state row says whose turn it is, by the database's clock, so
// that another one takes over when the writer is gone. That is for liveness only: a writer that was paused may believe for
// ever that the turn is its own. What keeps two from writing is that a batch counts only if it finds epoch and size as its
// writer has left them.
import { randomUUID } from 'node:crypto';
import { batcher } from '../kernel/batch.ts';
import type { Db } from '../kernel/db.ts';
import { describe, type Log } from '../kernel/log.ts';
import { openLoop } from '../kernel/loop.ts';
import { metrics } from '../kernel/metrics.ts';
import { openClockWatch } from './clock.ts';
import type { Signer } from './note.ts';
import type { Outside } from './outside.ts';
import { followState, loadState, type LogState } from './recovery.ts';
import { makeRoom } from './sql/ranges.ts';
import { releaseLease, renewLease, selectState, takeOver } from './sql/log.ts';

const RENEW_MS = 1_000;
const POLL_MS = 500;

export interface Lease extends AsyncDisposable {
  /** The log as this process has left it, if it is its writer, or can become it. */
  own(): Promise<LogState | undefined>;
  /** The writer has committed a batch. */
  advance(state: LogState): void;
  /** The writer of this epoch has lost its turn, or does not know what it has committed. */
  drop(epoch: bigint): void;
  /** A commit of its own, which flushes all that was written before; false if the writer of this epoch has lost its turn. */
  renew(epoch: bigint): Promise<boolean>;
  /** The newest committed state, verified. */
  current(): Promise<LogState>;
}

export interface LeaseOptions {
  db: Db;
  signer: Signer;
  log: Log;
  outside: Outside;
}

export const openLease = async ({ db, signer, log, outside }: LeaseOptions): Promise<Lease> => {
  const owner = randomUUID();
  let own: LogState | undefined;
  /** The newest that this process has verified: the log never goes back behind it. */
  let seen = await loadState(db, signer, outside);
  let stopped = false;

  const see = (state: LogState): LogState => {
    outside.publish(state.checkpoint);
    if (state.tree.size >= seen.tree.size) seen = state;
    return state;
  };
  see(seen);

  const claim = async (): Promise<LogState | undefined> => {
    while (!stopped) {
      const { writer } = await selectState(db.read);
      if (writer !== null && writer !== owner) return undefined;
      await makeRoom(db.read);
      // Verified first: a log that does not fit together gets no new writer.
      const verified = see(await loadState(db, signer, outside));
      const epoch = await takeOver(db.read, owner, { epoch: verified.epoch, size: verified.tree.size });
      // Otherwise the writer before has committed one more batch meanwhile, or another one was quicker.
      if (epoch === undefined) continue;
      log.info({ index: String(verified.tree.size) }, 'this process writes the log');
      metrics.auditWriter.set(1);
      return (own = { ...verified, epoch });
    }
    return undefined;
  };
  let claiming: Promise<LogState | undefined> | undefined;
  const claimOnce = (): Promise<LogState | undefined> => (claiming ??= claim().finally(() => (claiming = undefined)));

  const drop = (epoch: bigint): void => {
    if (own?.epoch !== epoch) return;
    own = undefined;
    metrics.auditWriter.set(0);
  };

  const watchClock = openClockWatch(log);
  const renew = async (epoch: bigint): Promise<boolean> => {
    const now = await renewLease(db.read, epoch);
    if (now && own) watchClock(now, own.recordTime);
    else if (!now) drop(epoch);
    return now !== undefined;
  };

  /** One reading for all who ask while the one before is under way. */
  const follow = batcher<undefined, LogState>({
    max: Infinity,
    queue: 16_384,
    late: 'AUDIT_UNAVAILABLE',
    run: async (askers) => {
      const state = see(await followState(db, signer, outside, seen));
      return askers.map(() => state);
    },
  });
  const current = (): Promise<LogState> => (own ? Promise.resolve(own) : follow(undefined, Date.now() + 10_000));

  let trouble = '';
  const turn = async (): Promise<number> => {
    try {
      if (own) await renew(own.epoch);
      // A standby keeps near, so that it has little to read when its turn comes.
      else if (!(await claimOnce())) await current();
      trouble = '';
    } catch (error) {
      if (trouble !== describe(error)) log.warn({ error: describe(error) }, 'the log could not be read; trying again');
      trouble = describe(error);
    }
    return own ? RENEW_MS : POLL_MS;
  };

  await claimOnce();
  const loop = openLoop(turn);
  loop.kick();
  return {
    own: async () => own ?? (await claimOnce()),
    advance: (state) => {
      if (own?.epoch === state.epoch) own = state;
      see(state);
    },
    drop,
    renew,
    current,
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      await loop[Symbol.asyncDispose]();
      await claiming?.catch(() => undefined);
      own = undefined;
      // If the database is away, the lease runs out by itself.
      await releaseLease(db.read, owner).catch(() => undefined);
    },
  };
};
