import type { ListSecretsRequest, ListSecretsResponse } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import { loadActiveGroup } from '../load.ts';
import { toSecret } from '../messages.ts';
import { parseGroup } from '../names.ts';
import { listSecrets as select } from '../sql/secrets.ts';
import type { Store } from '../store.ts';

export const listSecrets = async (store: Store, request: ListSecretsRequest, call: Call): Promise<ListSecretsResponse> => {
  const { instance_uid: instanceUid, group_uid: groupUid } = await loadActiveGroup(store.db.read, parseGroup(request.parent, 'parent'));
  call.annotate({ instanceUid });
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['secrets', groupUid, String(request.showDeleted)],
    first: [''],
    select: ([after = ''], limit) => select(store.db.read, { instanceUid, groupUid, after, limit, showDeleted: request.showDeleted }),
    cursor: (row) => [row.secret_id],
    item: toSecret,
  });
  return { secrets: items, nextPageToken };
};
