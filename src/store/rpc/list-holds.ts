import type { ListHoldsRequest, ListHoldsResponse } from '../../gen/strongroom/secrets/v1/hold_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import { loadPlace } from '../hold.ts';
import { toHold } from '../messages.ts';
import { parseResource } from '../names.ts';
import { listHolds as select } from '../sql/holds.ts';
import type { Store } from '../store.ts';

export const listHolds = async (store: Store, request: ListHoldsRequest, call: Call): Promise<ListHoldsResponse> => {
  const { instance_uid: instanceUid } = await loadPlace(store.db.read, parseResource(request.parent, 'parent'));
  call.annotate({ instanceUid });
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['holds', instanceUid, request.parent],
    first: [''],
    select: ([after = ''], limit) => select(store.db.read, { instance_uid: instanceUid, resource: request.parent }, after, limit),
    cursor: (row) => [row.hold_id],
    item: toHold,
  });
  return { holds: items, nextPageToken };
};
