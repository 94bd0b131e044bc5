import type { ListSecretLocksRequest, ListSecretLocksResponse } from '../../gen/strongroom/secrets/v1/secret_lock_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import { loadActiveSecret, loadVersion } from '../load.ts';
import { parseLocked } from '../lock.ts';
import { toLock } from '../messages.ts';
import { listLocks } from '../sql/version-locks.ts';
import type { Store } from '../store.ts';

export const listSecretLocks = async (store: Store, request: ListSecretLocksRequest, call: Call): Promise<ListSecretLocksResponse> => {
  const path = parseLocked(request.parent, 'parent');
  const secret = await loadActiveSecret(store.db.read, path);
  call.annotate({ instanceUid: secret.instance_uid });
  const only = 'version' in path ? (await loadVersion(store.db.read, path, secret)).version : null;
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['locks', secret.secret_uid, request.parent],
    first: ['0', ''],
    select: ([version, lockId = ''], limit) => listLocks(store.db.read, secret, only, { version: Number(version), lock_id: lockId }, limit),
    cursor: (row) => [String(row.version), row.lock_id],
    item: (row) => toLock(secret, row),
  });
  return { locks: items, nextPageToken };
};
