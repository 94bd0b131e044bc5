import type { ListRootKeysRequest, ListRootKeysResponse } from '../../gen/strongroom/keys/v1/key_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { parseKeyRing } from '../names.ts';
import { listRootKeys as select } from '../sql/root-keys.ts';

export const listRootKeys = async (keys: Keys, request: ListRootKeysRequest): Promise<ListRootKeysResponse> => {
  const { keyRing } = parseKeyRing(request.parent, 'parent');
  const { items, nextPageToken } = await pageOf({
    tokens: keys.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['rootKeys', keyRing, String(request.showDestroyed)],
    first: [''],
    select: ([after = ''], limit) => select(keys.db.read, keyRing, request.showDestroyed, after, limit),
    cursor: (row) => [row.key_id],
    item: toRootKey,
  });
  return { rootKeys: items, nextPageToken };
};
