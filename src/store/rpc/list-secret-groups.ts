import type { ListSecretGroupsRequest, ListSecretGroupsResponse } from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import { loadInstance } from '../load.ts';
import { toGroup } from '../messages.ts';
import { shownTo } from '../guarded.ts';
import { parseInstance } from '../names.ts';
import { listGroups } from '../sql/secret-groups.ts';
import { assertActive } from '../state.ts';
import type { Store } from '../store.ts';

export const listSecretGroups = async (store: Store, request: ListSecretGroupsRequest, call: Call): Promise<ListSecretGroupsResponse> => {
  const path = parseInstance(request.parent, 'parent');
  const only = await shownTo(store, call, path);
  const instance = await loadInstance(store.db.read, path);
  assertActive(request.parent, instance.state);
  call.annotate({ instanceUid: instance.instance_uid });
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['groups', instance.instance_uid, String(request.showDeleted)],
    first: [''],
    select: ([after = ''], limit) =>
      listGroups(store.db.read, { instanceUid: instance.instance_uid, after, limit, showDeleted: request.showDeleted, only }),
    cursor: (row) => [row.group_id],
    item: toGroup,
  });
  return { secretGroups: items, nextPageToken };
};
