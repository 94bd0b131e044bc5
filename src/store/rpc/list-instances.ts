import type { ListInstancesRequest, ListInstancesResponse } from '../../gen/strongroom/secrets/v1/instance_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import { shownTo } from '../guarded.ts';
import { toInstance } from '../messages.ts';
import { listInstances as select } from '../sql/instances.ts';
import type { Store } from '../store.ts';

export const listInstances = async (store: Store, request: ListInstancesRequest, call: Call): Promise<ListInstancesResponse> => {
  const only = await shownTo(store, call, 'system');
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['instances', String(request.showDeleted)],
    first: [''],
    select: ([after = ''], limit) => select(store.db.read, after, limit, request.showDeleted, only),
    cursor: (row) => [row.instance_id],
    item: toInstance,
  });
  return { instances: items, nextPageToken };
};
