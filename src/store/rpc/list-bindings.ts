import type { ListBindingsRequest, ListBindingsResponse } from '../../gen/strongroom/secrets/v1/binding_service.ts';
import { pageOf } from '../../kernel/page.ts';
import { toBinding } from '../messages.ts';
import { listBindings as select } from '../sql/bindings.ts';
import type { Store } from '../store.ts';

export const listBindings = async (store: Store, request: ListBindingsRequest): Promise<ListBindingsResponse> => {
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['bindings', request.scope],
    first: ['', ''],
    select: ([principal = '', role = ''], limit) => select(store.db.read, request.scope, { principal, role }, limit),
    cursor: (row) => [row.principal, row.role],
    item: toBinding,
  });
  return { bindings: items, nextPageToken };
};
