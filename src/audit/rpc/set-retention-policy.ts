import type { RetentionPolicy, SetRetentionPolicyRequest } from '../../gen/strongroom/audit/v1/audit_admin_service.ts';
import { eventOf } from '../../kernel/audit.ts';
import { etagMismatch, invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { AuditAdmin } from '../audit.ts';
import { LEAST_DAYS, MOST_DAYS, POLICY, policyEtag, toPolicy } from '../retention.ts';
import { selectPolicy, updatePolicy } from '../sql/ranges.ts';

export const setRetentionPolicy = async (audit: AuditAdmin, request: SetRetentionPolicyRequest, call: Call): Promise<RetentionPolicy> => {
  const { bodyDays: days, etag } = request;
  if (days === undefined || (days !== 0 && (days < LEAST_DAYS || days > MOST_DAYS)))
    throw invalid('body_days', `must be ${LEAST_DAYS} to ${MOST_DAYS}, or 0 for ever`);
  return audit.db.transaction(async (tx) => {
    const before = await selectPolicy(tx);
    const after = etag === '' || etag === policyEtag(before) ? await updatePolicy(tx, days || null, before.revision) : undefined;
    if (!after) throw etagMismatch(POLICY);
    call.annotate({ attributes: { bodyDaysBefore: String(before.body_days ?? 0), bodyDays: String(days) } });
    await audit.auditor.append([eventOf(call)], call.deadline);
    return toPolicy(after);
  });
};
