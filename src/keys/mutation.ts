// Every change: one transaction with the change and its audit event in the outbox. All of them can be repeated without
// harm, since the caller chooses the names.
import { eventOf } from '../kernel/audit.ts';
import type { Transaction } from '../kernel/db.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { Call } from '../kernel/table.ts';
import type { Keys } from './keys.ts';
import { raiseEpoch } from './sql/scopes.ts';

export const mutate = async <Reply>(keys: Keys, call: Call, change: (tx: Transaction) => Promise<Reply>): Promise<Reply> => {
  keys.relay.assertHealthy();
  const reply = await keys.db.transaction(async (tx) => {
    const changed = await change(tx);
    enqueue(tx, eventOf(call));
    return changed;
  });
  keys.relay.kick();
  return reply;
};

/** A change that can take a key away from somebody: what replicas have cached ends with it, here before the answer. */
export const revoke = async <Reply>(
  keys: Keys,
  call: Call,
  change: (tx: Transaction) => Promise<{ reply: Reply; revoked: boolean }>,
): Promise<Reply> => {
  let epoch: bigint | undefined;
  const reply = await mutate(keys, call, async (tx) => {
    const changed = await change(tx);
    epoch = changed.revoked ? await raiseEpoch(tx) : undefined;
    return changed.reply;
  });
  if (epoch !== undefined) keys.revoked(epoch);
  return reply;
};

/** A destruction is answered when its event is in the log: there, a database that is restored later finds what was destroyed. */
export const destroy = async <Reply>(
  keys: Keys,
  call: Call,
  change: (tx: Transaction) => Promise<{ reply: Reply; revoked: boolean }>,
): Promise<Reply> => {
  const reply = await revoke(keys, call, change);
  await keys.relay.flush();
  return reply;
};
