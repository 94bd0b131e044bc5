// Every change: one transaction with the change and its audit event in the outbox. All of them can be repeated without
// harm, since the caller chooses the names.
import { eventOf } from '../kernel/audit.ts';
import type { Queryable } from '../kernel/db.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { Call } from '../kernel/table.ts';
import type { Keys } from './keys.ts';

/** A change that is answered when its event is in the log: there, a database that is restored later finds what was destroyed. */
export const mutateRecorded = async <Reply>(keys: Keys, call: Call, change: (tx: Queryable) => Promise<Reply>): Promise<Reply> => {
  const reply = await mutate(keys, call, change);
  await keys.relay.flush();
  return reply;
};

export const mutate = async <Reply>(keys: Keys, call: Call, change: (tx: Queryable) => Promise<Reply>): Promise<Reply> => {
  keys.relay.assertHealthy();
  const reply = await keys.db.transaction(async (tx) => {
    const changed = await change(tx);
    await enqueue(tx, eventOf(call));
    return changed;
  });
  keys.relay.kick();
  return reply;
};
