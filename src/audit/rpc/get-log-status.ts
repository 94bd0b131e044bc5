import type { GetLogStatusRequest, LogStatus } from '../../gen/strongroom/audit/v1/audit_admin_service.ts';
import type { AuditAdmin } from '../audit.ts';
import { selectPrunedBelow } from '../sql/ranges.ts';

export const getLogStatus = async ({ db, writer, selfCheck }: AuditAdmin, _request: GetLogStatusRequest): Promise<LogStatus> => {
  const [{ tree }, prunedBelow] = await Promise.all([writer.current(), selectPrunedBelow(db.read)]);
  const { checkedSize, passSize, passEndTime, mismatch } = selfCheck.status();
  return {
    treeSize: tree.size,
    prunedBelow,
    check: { checkedSize, passSize, passEndTime },
    mismatch: mismatch && { index: mismatch.index, description: mismatch.what, findTime: mismatch.time },
  };
};
