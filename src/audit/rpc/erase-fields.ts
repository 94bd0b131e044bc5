import type { EraseFieldsRequest, EraseFieldsResponse } from '../../gen/strongroom/audit/v1/audit_admin_service.ts';
import { eventOf } from '../../kernel/audit.ts';
import type { Call } from '../../kernel/table.ts';
import type { AuditAdmin } from '../audit.ts';
import { erasureDrafts, findEntries, indexesOf, parseFields, parseSelection } from '../erasure.ts';
import { deleteFields, selectFields } from '../sql/private.ts';

/** What was deleted is in the log before the deletion is committed: an erasure that is interrupted in between is made again by who asks again. */
export const eraseFields = async (audit: AuditAdmin, request: EraseFieldsRequest, call: Call): Promise<EraseFieldsResponse> => {
  const fields = parseFields(request.fields);
  const [indexes, nextIndex] = await findEntries(audit, parseSelection(request), fields);
  if (request.validateOnly) {
    const found = await selectFields(audit.db.read, indexes, fields);
    const event = eventOf(call, { attributes: { validateOnly: 'true', count: String(found.length) } });
    await audit.auditor.append([event], call.deadline);
    return { indexes: indexesOf(found), fieldCount: found.length, nextIndex };
  }
  return audit.db.transaction(async (tx) => {
    const erased = await deleteFields(tx, indexes, fields);
    const drafts = erased.length === 0 ? [{ attributes: { count: '0' } }] : erasureDrafts(erased);
    await audit.auditor.append(
      drafts.map((draft) => eventOf(call, draft)),
      call.deadline,
    );
    return { indexes: indexesOf(erased), fieldCount: erased.length, nextIndex };
  });
};
