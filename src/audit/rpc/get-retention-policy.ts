import type { GetRetentionPolicyRequest, RetentionPolicy } from '../../gen/strongroom/audit/v1/audit_admin_service.ts';
import type { AuditAdmin } from '../audit.ts';
import { toPolicy } from '../retention.ts';
import { selectPolicy } from '../sql/ranges.ts';

export const getRetentionPolicy = async (audit: AuditAdmin, _request: GetRetentionPolicyRequest): Promise<RetentionPolicy> =>
  toPolicy(await selectPolicy(audit.db.read));
