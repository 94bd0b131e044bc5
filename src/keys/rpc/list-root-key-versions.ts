import type { ListRootKeyVersionsRequest, ListRootKeyVersionsResponse } from '../../gen/strongroom/keys/v1/key_version_service.ts';
import { notFound } from '../../kernel/errors.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Keys } from '../keys.ts';
import { toRootKeyVersion } from '../messages.ts';
import { parseRootKey, rootKeyName } from '../names.ts';
import { selectKeyId } from '../sql/root-keys.ts';
import { listKeyVersions } from '../sql/versions.ts';

const NEWEST = String(2 ** 31 - 1);

export const listRootKeyVersions = async (keys: Keys, request: ListRootKeyVersionsRequest): Promise<ListRootKeyVersionsResponse> => {
  const path = parseRootKey(request.parent, 'parent');
  if ((await selectKeyId(keys.db.read, path)) === undefined) throw notFound('root key', request.parent);
  const { items, nextPageToken } = await pageOf({
    tokens: keys.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['rootKeyVersions', rootKeyName(path)],
    first: [NEWEST],
    select: ([before = NEWEST], limit) => listKeyVersions(keys.db.read, path, Number(before), limit),
    cursor: (row) => [String(row.version)],
    item: toRootKeyVersion,
  });
  return { versions: items, nextPageToken };
};
