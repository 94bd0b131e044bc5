import type { ApproveRootKeyDeletionRequest, RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import type { Call } from '../../kernel/table.ts';
import { assertCanApprove } from '../approval.ts';
import { changeRootKey } from '../change.ts';
import type { Keys } from '../keys.ts';
import { setApproval } from '../sql/life-cycle.ts';

export const approveRootKeyDeletion = (keys: Keys, { name }: ApproveRootKeyDeletionRequest, call: Call): Promise<RootKey> =>
  changeRootKey(keys, call, {
    name,
    operation: 'delete',
    apply: async (tx, row) => {
      assertCanApprove(name, row);
      await setApproval(tx, row.key_uid, call.principal);
    },
  });
