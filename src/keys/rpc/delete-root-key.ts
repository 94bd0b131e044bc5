import type { DeleteRootKeyRequest, RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { AppError } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { assertApproved } from '../approval.ts';
import { changeRootKey } from '../change.ts';
import { checkReason, checkWait } from '../fields.ts';
import { assertNoneRetained, inUse } from '../in-use.ts';
import type { Keys } from '../keys.ts';
import { scheduleDestruction } from '../sql/life-cycle.ts';

export const deleteRootKey = async (keys: Keys, request: DeleteRootKeyRequest, call: Call): Promise<RootKey> => {
  const { name, etag, force } = request;
  const waitSeconds = checkWait(request.wait);
  const reason = checkReason(request.reason, force);
  call.annotate({ attributes: { ...(force ? { force: 'true' } : {}), ...(reason === '' ? {} : { reason }), wait: `${waitSeconds}s` } });

  return changeRootKey(keys, call, {
    name,
    etag,
    operation: 'delete',
    revokes: true,
    event: 'DELETE_SCHEDULED',
    apply: async (tx, row) => {
      if (row.owner !== null)
        throw new AppError('PROVIDER_MANAGED', `${name} lives and ends with its instance; delete the instance`, {
          metadata: { resource: name },
        });
      assertApproved(name, row, call.principal);
      if (row.scope_count > 0n && !force) throw inUse(name, row.scope_count);
      await assertNoneRetained(tx, name, row.key_uid);
      await scheduleDestruction(tx, row.key_uid, waitSeconds);
    },
  });
};
