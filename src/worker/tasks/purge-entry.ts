// The purge's entries in the audit log. All that is in an entry stands in the purge's row before it is made, so that a
// repeated step appends nothing twice.
import { AppError } from '../../kernel/errors.ts';
import type { Attributes } from '../../kernel/facts.ts';
import { renewEventId, type Purge, type PurgeKind } from '../../store/sql/purge.ts';
import type { Worker } from '../worker.ts';

const APPEND_MS = 10_000;
const OBJECT = { INSTANCE: 'instance', GROUP: 'group', SECRET: 'secret', VERSION: 'version' } as const satisfies Record<PurgeKind, string>;

interface Entry {
  eventId: string;
  occurTime?: Date;
  attributes: Attributes;
}

/** The index of the entry, when it is on stable storage; undefined if the purge now has another event id, to begin again with. */
export const record = async (worker: Worker, purge: Purge, verb: 'purge.start' | 'purge', entry: Entry): Promise<bigint | undefined> => {
  const event = worker.ownEvent(`secrets.${OBJECT[purge.kind]}.${verb}`, purge.resource, {
    ...entry,
    instanceUid: purge.instance_uid,
    correlationId: purge.uid,
    onBehalfOf: purge.deleted_by,
    attributes: { purge: `purges/${purge.uid}`, ...entry.attributes },
  });
  try {
    const [index] = await worker.auditor.append([event], Date.now() + APPEND_MS);
    return index;
  } catch (error) {
    if (!(error instanceof AppError && error.reason === 'EVENT_ID_REUSED')) throw error;
    worker.log.warn({ job: purge.uid, resource: purge.resource }, 'the log has another entry of this purge, from before a restore');
    await worker.db.transaction((tx) => renewEventId(tx, purge));
    return undefined;
  }
};
