import type { ListKeyRingsRequest, ListKeyRingsResponse } from '../../gen/strongroom/keys/v1/key_ring_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Keys } from '../keys.ts';
import { toKeyRing } from '../messages.ts';
import { listKeyRings as select } from '../sql/key-rings.ts';

export const listKeyRings = async (keys: Keys, request: ListKeyRingsRequest): Promise<ListKeyRingsResponse> => {
  const { items, nextPageToken } = await pageOf({
    tokens: keys.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['keyRings'],
    first: [''],
    select: ([after = ''], limit) => select(keys.db.read, after, limit),
    cursor: (row) => [row.key_ring],
    item: toKeyRing,
  });
  return { keyRings: items, nextPageToken };
};
