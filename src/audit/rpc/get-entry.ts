import type { Entry, GetEntryRequest } from '../../gen/strongroom/audit/v1/audit_service.ts';
import type { Audit } from '../audit.ts';
import { checkEntry, missingEntry } from '../entry.ts';
import { toEntry } from '../messages.ts';
import { selectEntry } from '../sql/entries.ts';

export const getEntry = async (audit: Audit, { index }: GetEntryRequest): Promise<Entry> => {
  const row = index < 0n ? undefined : await selectEntry(audit.db.read, index);
  if (!row) throw await missingEntry(audit, index);
  checkEntry(row);
  return toEntry(row);
};
