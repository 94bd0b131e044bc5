import type { Entry, GetEntryRequest } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { leafHash } from '../merkle.ts';
import { toEntry } from '../messages.ts';
import { selectEntry } from '../sql/entries.ts';

export const getEntry = async (audit: Audit, request: GetEntryRequest, call: Call): Promise<Entry> => {
  const instances = await audit.readers.sees(call);
  const row = request.index < 0n ? undefined : await selectEntry(audit.db.read, request.index, instances);
  if (!row) throw notFound('entry', String(request.index));
  if (!leafHash(row.leaf).equals(row.leaf_hash)) {
    throw new AppError('DATA_CORRUPTED', `entry ${request.index} is not what was written; the log was changed behind its back`);
  }
  const entry = toEntry(row);
  call.annotate({ instanceUid: entry.event?.instanceUid ?? '' });
  return entry;
};
