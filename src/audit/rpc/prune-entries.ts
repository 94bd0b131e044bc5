import type { PruneEntriesRequest, PruneEntriesResponse } from '../../gen/strongroom/audit/v1/audit_admin_service.ts';
import { eventOf } from '../../kernel/audit.ts';
import type { Call, EntryDraft } from '../../kernel/table.ts';
import type { AuditAdmin } from '../audit.ts';
import { OWN_ACTIONS } from '../own-actions.ts';
import { prune } from '../retention.ts';
import { selectDueRange, selectPrunedBelow } from '../sql/ranges.ts';

export const pruneEntries = async (audit: AuditAdmin, { validateOnly }: PruneEntriesRequest, call: Call): Promise<PruneEntriesResponse> => {
  const { read } = audit.db;
  const due = await selectDueRange(read);
  const event = (resource: string, facts: EntryDraft) => eventOf(call, { ...facts, as: OWN_ACTIONS['audit.range.prune'], resource });
  if (due && !validateOnly) await prune(audit, due, event, call.signal);
  const entryCount = due ? due.end_index - due.start_index : 0n;
  const attributes = { count: String(entryCount), ...(validateOnly ? { validateOnly: 'true' } : {}) };
  await audit.auditor.append([eventOf(call, { attributes })], call.deadline);
  const moreDue = validateOnly ? due !== undefined : (await selectDueRange(read)) !== undefined;
  return { entryCount, prunedBelow: await selectPrunedBelow(read), moreDue };
};
