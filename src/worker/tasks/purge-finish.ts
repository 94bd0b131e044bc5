// FINISHING: the provider's root key, the entry in the audit log, and the receipt that the log contains it.
import { AppError } from '../../kernel/errors.ts';
import type { Attributes } from '../../kernel/facts.ts';
import { metrics } from '../../kernel/metrics.ts';
import { finishPurge, recordEnd, type Purge } from '../../store/sql/purge.ts';
import { isProviderManaged, type Worker } from '../worker.ts';
import { record } from './purge-entry.ts';

const CALL_MS = 10_000;
/** Keys that were made with their instance go with it. A customer's own key outlives it: the instance is deregistered from it. */
const endRootKey = async (worker: Worker, { uid, resource, deleted_by, root_key }: Purge): Promise<void> => {
  if (!root_key) return;
  const options = { deadline: Date.now() + CALL_MS, correlationId: uid };
  const callContext = { principal: deleted_by, resource, correlationId: uid, traceId: '' };
  try {
    if (isProviderManaged(root_key)) await worker.keys.destroyRootKey({ name: root_key, correlationId: uid }, options);
    else await worker.scopes.destroyScope({ name: `scopes/${uid}`, callContext }, options);
  } catch (error) {
    if (!(error instanceof AppError && error.reason === 'NOT_FOUND')) throw error;
  }
};

const factsOf = (purge: Purge): Attributes => ({
  scopeKeysDestroyed: String(purge.scope_keys_destroyed),
  versionsRemoved: String(purge.versions_removed),
  secretsRemoved: String(purge.secrets_removed),
  groupsRemoved: String(purge.groups_removed),
  keysDestroyedTime: purge.keys_destroyed_time?.toISOString() ?? '',
  ...(purge.root_key ? { rootKey: purge.root_key } : {}),
  ...(purge.absorbed_by ? { absorbedBy: `purges/${purge.absorbed_by}` } : {}),
});

/** The first time up to the end of all destruction; the second time, with its time fixed in the row, the entry and the receipt. */
export const finish = async (worker: Worker, purge: Purge): Promise<void> => {
  if (!purge.end_time) {
    await endRootKey(worker, purge);
    await worker.db.transaction((tx) => recordEnd(tx, purge.uid));
    return;
  }
  const index = await record(worker, purge, 'purge', {
    eventId: purge.event_id,
    occurTime: purge.end_time,
    attributes: factsOf(purge),
  });
  if (index === undefined) return;
  const proof = await worker.proofs.getInclusionProof(
    { index, treeSize: 0n, cosigned: false },
    { deadline: Date.now() + CALL_MS, correlationId: purge.uid },
  );
  if ((proof.checkpoint?.treeSize ?? 0n) <= index) throw new AppError('AUDIT_UNAVAILABLE', 'the audit log proves nothing of the purge yet');
  await worker.db.transaction((tx) => finishPurge(tx, purge.uid, index, proof.receipt));
  metrics.purges.inc({ result: 'done' });
  worker.log.info({ job: purge.uid, resource: purge.resource, index: String(index) }, 'purge done');
};
