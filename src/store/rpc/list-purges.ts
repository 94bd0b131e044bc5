import type { ListPurgesRequest, ListPurgesResponse } from '../../gen/strongroom/secrets/v1/purge_service.ts';
import { pageOf } from '../../kernel/page.ts';
import { toPurge } from '../messages.ts';
import { listPurges as select } from '../sql/purges.ts';
import type { Store } from '../store.ts';

export const listPurges = async (store: Store, request: ListPurgesRequest): Promise<ListPurgesResponse> => {
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['purges'],
    first: ['infinity', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
    select: ([deleteTime = '', uid = ''], limit) => select(store.db.read, { deleteTime, uid }, limit),
    cursor: (row) => [row.delete_cursor, row.uid],
    item: toPurge,
  });
  return { purges: items, nextPageToken };
};
