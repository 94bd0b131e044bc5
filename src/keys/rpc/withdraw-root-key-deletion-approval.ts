import type { RootKey, WithdrawRootKeyDeletionApprovalRequest } from '../../gen/strongroom/keys/v1/key_service.ts';
import type { Call } from '../../kernel/table.ts';
import { changeRootKey } from '../change.ts';
import type { Keys } from '../keys.ts';
import { setApproval } from '../sql/life-cycle.ts';

export const withdrawRootKeyDeletionApproval = (
  keys: Keys,
  { name }: WithdrawRootKeyDeletionApprovalRequest,
  call: Call,
): Promise<RootKey> => changeRootKey(keys, call, { name, operation: 'delete', apply: (tx, row) => setApproval(tx, row.key_uid, null) });
