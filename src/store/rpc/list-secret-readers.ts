import type { ListSecretReadersRequest, ListSecretReadersResponse } from '../../gen/strongroom/secrets/v1/authorization_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import { rolesFor, scopesAbove } from '../access.ts';
import { loadSecret } from '../load.ts';
import { toBinding } from '../messages.ts';
import { groupName, parseSecret } from '../names.ts';
import { listHolders } from '../sql/bindings.ts';
import type { Store } from '../store.ts';

export const listSecretReaders = async (
  store: Store,
  request: ListSecretReadersRequest,
  call: Call,
): Promise<ListSecretReadersResponse> => {
  const path = parseSecret(request.name);
  const secret = await loadSecret(store.db.read, path);
  call.annotate({ instanceUid: secret.instance_uid });
  const [scopes, roles] = [scopesAbove(path), rolesFor('access')];
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['readers', groupName(path)],
    first: ['', '', ''],
    select: ([principal = '', scope = '', role = ''], limit) =>
      listHolders(store.db.read, { scopes, roles, after: { principal, scope, role }, limit }),
    cursor: (row) => [row.principal, row.scope, row.role],
    item: toBinding,
  });
  return { readers: items, nextPageToken };
};
