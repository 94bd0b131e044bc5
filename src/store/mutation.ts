// Every change: one transaction with the change, its audit event in the outbox, and the reply under its request id. A
// repeated request answers as the first did and changes nothing.
import { createHmac } from 'node:crypto';
import { eventOf } from '../kernel/audit.ts';
import type { Transaction } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { Call } from '../kernel/table.ts';
import { checkRequestId } from '../kernel/fields.ts';
import { claimRequest, saveReply, selectReply, type Key, type Recorded } from './sql/idempotency.ts';
import type { Store } from './store.ts';

/** The generated codec of a message. */
export interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

interface Mutation<Request extends { requestId: string }, Reply> {
  request: Request;
  codec: { request: Codec<Request>; reply: Codec<Reply> };
  /** Before the transaction: all that talks to another service. */
  prepare?: () => Promise<void>;
  /** In the transaction; may run again after a conflict. */
  change: (tx: Transaction) => Promise<Reply>;
}

const reused = (): AppError =>
  new AppError(
    'REQUEST_ID_REUSED',
    'request_id was used before for another request; take a new UUID for each request, and the same only to repeat one',
    {
      metadata: { field: 'request_id' },
      violations: [{ field: 'request_id', description: 'was used before for another request' }],
    },
  );

export const mutate = async <Request extends { requestId: string }, Reply>(
  store: Store,
  call: Call,
  { request, codec, prepare, change }: Mutation<Request, Reply>,
): Promise<Reply> => {
  store.relay.assertHealthy();
  const requestId = checkRequestId(request.requestId);
  const key: Key = { principal: call.principal, method: call.method, requestId };
  const digest =
    requestId === '' ? Buffer.alloc(0) : createHmac('sha256', store.digestKey).update(codec.request.encode(request).finish()).digest();

  const replay = async (recorded: Recorded): Promise<Reply> => {
    if (!recorded.digest.equals(digest) || !recorded.response) throw reused();
    await store.auditor.append([eventOf(call, { ...call.facts, attributes: { ...call.facts.attributes, replay: 'true' } })], call.deadline);
    return codec.reply.decode(recorded.response);
  };

  const recordedReply = () => (requestId === '' ? undefined : selectReply(store.db.read, key));
  const recorded = await recordedReply();
  if (recorded) return replay(recorded);
  try {
    await prepare?.();
  } catch (error) {
    // It may stand in its own way: the first of two equal requests, under way until just now, has made the change.
    const late = await recordedReply();
    if (late) return replay(late);
    throw error;
  }
  const outcome = await store.db.transaction(async (tx) => {
    if (requestId !== '' && !(await claimRequest(tx, key, digest))) return { recorded: await selectReply(tx, key) };
    const reply = await change(tx);
    enqueue(tx, eventOf(call));
    if (requestId !== '') saveReply(tx, key, Buffer.from(codec.reply.encode(reply).finish()));
    return { reply };
  });
  store.relay.kick();
  if ('reply' in outcome) return outcome.reply;
  if (!outcome.recorded) throw reused();
  return replay(outcome.recorded);
};
