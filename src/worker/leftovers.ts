// Takes away what nobody needs any more: keys whose create was interrupted, replies to requests of yesterday, and changes that were told.
import { AppError } from '../kernel/errors.ts';
import { newUid } from '../kernel/uid.ts';
import { lockAbandoned, removeAbandoned, removeOldChanges, removeOldReplies } from './sql/leftovers.ts';
import type { Worker } from './worker.ts';

const CALL_MS = 5_000;
const REPLIES = 1_000;
const CHANGES = 10_000;

const destroy = async ({ scopes, keys }: Worker, name: string): Promise<void> => {
  const correlationId = newUid();
  const options = { deadline: Date.now() + CALL_MS, correlationId };
  const call = name.startsWith('scopes/')
    ? scopes.destroyScope({ name, callContext: { principal: '', resource: '', correlationId, traceId: '' } }, options)
    : keys.destroyRootKey({ name, correlationId }, options);
  await call.catch((error: unknown) => {
    // It was interrupted before the key service had heard of it.
    if (!(error instanceof AppError && error.reason === 'NOT_FOUND')) throw error;
  });
};

/** The record stays locked while its key is destroyed: a create that is late finds it gone, and is refused. */
const removeOne = (worker: Worker): Promise<string | undefined> =>
  worker.db.transaction(async (tx) => {
    const name = await lockAbandoned(tx);
    if (name === undefined) return undefined;
    await destroy(worker, name);
    await removeAbandoned(tx, name);
    return name;
  });

export const removeLeftovers = async (worker: Worker): Promise<void> => {
  await worker.db.transaction((tx) => removeOldReplies(tx, REPLIES));
  await worker.db.transaction((tx) => removeOldChanges(tx, CHANGES));
  for (let name = await removeOne(worker); name !== undefined; name = await removeOne(worker)) {
    worker.log.warn({ resource: name }, 'a create was interrupted; the key that it had made is destroyed');
  }
};
