import type { PruneEntriesRequest, PruneEntriesResponse } from '../../gen/strongroom/audit/v1/audit_admin_service.ts';
import { eventOf } from '../../kernel/audit.ts';
import type { Call } from '../../kernel/table.ts';
import type { AuditAdmin } from '../audit.ts';
import { prune } from '../retention.ts';
import { selectDueRange, selectPrunedBelow } from '../sql/ranges.ts';

export const pruneEntries = async (audit: AuditAdmin, { validateOnly }: PruneEntriesRequest, call: Call): Promise<PruneEntriesResponse> => {
  const { read } = audit.db;
  const due = await selectDueRange(read);
  if (due && !validateOnly) await prune(audit, due, (draft) => eventOf(call, draft), call.signal);
  const entryCount = due ? due.end_index - due.start_index : 0n;
  call.annotate({ attributes: { count: String(entryCount), ...(validateOnly ? { validateOnly: 'true' } : {}) } });
  const moreDue = validateOnly ? due !== undefined : (await selectDueRange(read)) !== undefined;
  return { entryCount, prunedBelow: await selectPrunedBelow(read), moreDue };
};
