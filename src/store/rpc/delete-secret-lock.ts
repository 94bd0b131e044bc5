import { DeleteSecretLockRequest, DeleteSecretLockResponse } from '../../gen/strongroom/secrets/v1/secret_lock_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { loadActiveSecret } from '../load.ts';
import { mutate } from '../mutation.ts';
import { parseLock } from '../names.ts';
import { lockSecret } from '../sql/secrets.ts';
import { markTrim } from '../sql/trims.ts';
import { deleteLock } from '../sql/version-locks.ts';
import type { Store } from '../store.ts';

export const deleteSecretLock = (store: Store, request: DeleteSecretLockRequest, call: Call): Promise<DeleteSecretLockResponse> => {
  const { version: path, lock } = parseLock(request.name);
  return mutate(store, call, {
    request,
    codec: { request: DeleteSecretLockRequest, reply: DeleteSecretLockResponse },
    change: async (tx) => {
      const secret = await loadActiveSecret(tx, path, lockSecret);
      call.annotate({ instanceUid: secret.instance_uid, attributes: { version: String(path.version) } });
      if (!(await deleteLock(tx, secret, path.version, lock))) throw notFound('lock', request.name);
      markTrim(tx, secret);
      return {};
    },
  });
};
