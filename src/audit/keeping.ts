// What the writer of the log does by the clock: makes room ahead of it, removes bodies whose time is over, forgets ids of events that nobody
// sends any more.
import type { Auditor } from '../kernel/audit.ts';
import type { Db } from '../kernel/db.ts';
import type { Log } from '../kernel/log.ts';
import { openLoop, retrying } from '../kernel/loop.ts';
import type { OwnEvent } from './own-actions.ts';
import type { Sources } from './readers.ts';
import type { Writer } from './writer.ts';
import { prune } from './retention.ts';
import { forgetEventIds, makeRoom, selectDueRange } from './sql/ranges.ts';

/** At full speed a partition lasts some 20 s, and two are always empty. */
const ROOM_EVERY_MS = 5_000;
const EVERY_MS = 3_600_000;
/** Until the next look at whose turn it is. */
const TURN_MS = 5_000;
const RETRY_MS = 10_000;
const FORGET_AT_ONCE = 10_000;

export interface KeepingOptions {
  db: Db;
  writer: Pick<Writer, 'writes'>;
  auditor: Auditor;
  bindings: Sources | undefined;
  ownEvent: OwnEvent;
  log: Log;
}

export const openKeeping = (options: KeepingOptions): AsyncDisposable => {
  const { db, writer, ownEvent, log } = options;
  const failureTo = (what: string) => ({ log, message: `the audit log could not ${what}; trying again`, retryMs: RETRY_MS });

  const room = openLoop(retrying(() => makeRoom(db.read).then(() => ROOM_EVERY_MS), failureTo('make room for entries')));

  const forgetAll = async (signal: AbortSignal): Promise<void> => {
    while (!signal.aborted && (await forgetEventIds(db.read, FORGET_AT_ONCE)) === BigInt(FORGET_AT_ONCE));
  };
  const pruneAll = async (signal: AbortSignal): Promise<void> => {
    for (let due = await selectDueRange(db.read); due && !signal.aborted; due = await selectDueRange(db.read))
      await prune(options, due, (resource, facts) => ownEvent('audit.range.prune', resource, facts), signal);
  };
  const keep = async (signal: AbortSignal): Promise<number> => {
    if (!(await writer.writes())) return TURN_MS;
    await forgetAll(signal);
    await pruneAll(signal);
    return EVERY_MS;
  };
  const retention = openLoop(retrying(keep, failureTo('remove what is past its time')));

  room.kick();
  retention.kick();
  return {
    [Symbol.asyncDispose]: async () => {
      await Promise.all([room[Symbol.asyncDispose](), retention[Symbol.asyncDispose]()]);
    },
  };
};
