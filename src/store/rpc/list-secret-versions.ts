import type { ListSecretVersionsRequest, ListSecretVersionsResponse } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import { loadActiveSecret } from '../load.ts';
import { toVersion } from '../messages.ts';
import { parseSecret } from '../names.ts';
import { listVersions } from '../sql/secret-versions.ts';
import type { Store } from '../store.ts';

const ABOVE_ALL = 2 ** 31 - 1;

export const listSecretVersions = async (
  store: Store,
  request: ListSecretVersionsRequest,
  call: Call,
): Promise<ListSecretVersionsResponse> => {
  const secret = await loadActiveSecret(store.db.read, parseSecret(request.parent, 'parent'));
  call.annotate({ instanceUid: secret.instance_uid });
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['versions', secret.secret_uid],
    first: [String(ABOVE_ALL)],
    select: ([before], limit) => listVersions(store.db.read, secret, Number(before), limit),
    cursor: (row) => [String(row.version)],
    item: (row) => toVersion(secret, row),
  });
  return { secretVersions: items, nextPageToken };
};
