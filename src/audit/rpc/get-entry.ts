import type { Entry, GetEntryRequest } from '../../gen/strongroom/audit/v1/audit_service.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { checkEntry, missingEntry } from '../entry.ts';
import { toEntry } from '../messages.ts';
import { selectEntry } from '../sql/entries.ts';

export const getEntry = async (audit: Audit, { index }: GetEntryRequest, call: Call): Promise<Entry> => {
  const instances = await audit.readers.sees(call);
  const row = index < 0n ? undefined : await selectEntry(audit.db.read, index, instances);
  if (!row) throw await missingEntry(audit, index, instances);
  checkEntry(row);
  const entry = toEntry(row);
  call.annotate({ instanceUid: entry.event?.instanceUid ?? '' });
  return entry;
};
