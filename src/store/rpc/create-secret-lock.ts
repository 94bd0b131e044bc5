import {
  CreateSecretLockRequest,
  CreateSecretLockRequest_Mode as Mode,
  SecretLock,
} from '../../gen/strongroom/secrets/v1/secret_lock_service.ts';
import { eventOf } from '../../kernel/audit.ts';
import type { Transaction } from '../../kernel/db.ts';
import { enqueue } from '../../kernel/outbox.ts';
import type { Call } from '../../kernel/table.ts';
import { destroy, destructionOf, DESTROY } from '../destroy.ts';
import { assertUnexpired } from '../expiration.ts';
import { assertNotHeld, placeOf } from '../hold.ts';
import { exists, loadActiveSecret, loadVersion } from '../load.ts';
import { MAX_LOCKS, parseLockFields, parseMode, tooManyLocks } from '../lock.ts';
import { pathOf, toLock } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { lockName, parseId, parseVersion, secretName, versionName } from '../names.ts';
import { lockSecret, type SecretRow } from '../sql/secrets.ts';
import { markTrim } from '../sql/trims.ts';
import { countLocks, deleteOlderLocks, insertLock, type Freed } from '../sql/version-locks.ts';
import { assertKept } from '../state.ts';
import type { Store } from '../store.ts';

/** Each with an entry of its own, as if its caller had destroyed it. */
const destroyAll = async (tx: Transaction, secret: SecretRow, freed: readonly Freed[], call: Call): Promise<void> => {
  for (const { version } of freed.filter(({ is_free: isFree }) => isFree)) {
    const name = versionName(pathOf(secret), version);
    await assertNotHeld(tx, placeOf(secret), name, destructionOf(secret), version);
    const { attributes } = await destroy(tx, secret, version, call.principal);
    enqueue(tx, eventOf(call, { as: DESTROY, resource: name, instanceUid: secret.instance_uid, attributes }));
  }
};

export const createSecretLock = (store: Store, request: CreateSecretLockRequest, call: Call): Promise<SecretLock> => {
  const path = parseVersion(request.parent, 'parent');
  const lockId = parseId(request.lockId, 'lock_id');
  const fields = parseLockFields(request.lock);
  const mode = parseMode(request.mode);
  call.annotate({ resource: lockName(request.parent, lockId) });

  return mutate(store, call, {
    request,
    codec: { request: CreateSecretLockRequest, reply: SecretLock },
    change: async (tx) => {
      const secret = await loadActiveSecret(tx, path, lockSecret);
      const { version, state, is_expired: isExpired } = await loadVersion(tx, path, secret);
      const name = lockName(versionName(path, version), lockId);
      assertUnexpired(versionName(path, version), isExpired);
      assertKept(versionName(path, version), state);
      const freed = mode === Mode.UNSPECIFIED ? [] : await deleteOlderLocks(tx, secret, version, lockId);
      const row = await insertLock(tx, secret, { ...fields, version, lock_id: lockId, created_by: call.principal });
      if (!row) throw exists(name);
      if ((await countLocks(tx, secret)) > MAX_LOCKS) throw tooManyLocks(secretName(path));
      if (mode === Mode.REMOVE_OLDER_AND_DESTROY) await destroyAll(tx, secret, freed, call);
      if (freed.length > 0) markTrim(tx, secret);
      const attributes = { version: String(version), ...(freed.length > 0 ? { count: String(freed.length) } : {}) };
      call.annotate({ resource: name, instanceUid: secret.instance_uid, attributes });
      return toLock(secret, row);
    },
  });
};
