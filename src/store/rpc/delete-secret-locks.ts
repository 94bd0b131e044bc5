import { DeleteSecretLocksRequest, DeleteSecretLocksResponse } from '../../gen/strongroom/secrets/v1/secret_lock_service.ts';
import type { Call } from '../../kernel/table.ts';
import { loadActiveSecret, loadVersion } from '../load.ts';
import { parseLocked, parsePattern } from '../lock.ts';
import { mutate } from '../mutation.ts';
import { lockSecret } from '../sql/secrets.ts';
import { markTrim } from '../sql/trims.ts';
import { deleteLocks } from '../sql/version-locks.ts';
import type { Store } from '../store.ts';

export const deleteSecretLocks = (store: Store, request: DeleteSecretLocksRequest, call: Call): Promise<DeleteSecretLocksResponse> => {
  const path = parseLocked(request.parent, 'parent');
  const { id, isPrefix } = parsePattern(request.lockIdPattern, 'lock_id_pattern');
  return mutate(store, call, {
    request,
    codec: { request: DeleteSecretLocksRequest, reply: DeleteSecretLocksResponse },
    change: async (tx) => {
      const secret = await loadActiveSecret(tx, path, lockSecret);
      const version = 'version' in path ? (await loadVersion(tx, path, secret)).version : null;
      const deletedCount = await deleteLocks(tx, secret, version, id, isPrefix);
      markTrim(tx, secret);
      call.annotate({ instanceUid: secret.instance_uid, attributes: { count: String(deletedCount) } });
      return { deletedCount };
    },
  });
};
