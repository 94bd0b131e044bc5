import type { ListGrantsRequest, ListGrantsResponse } from '../../gen/strongroom/keys/v1/grant_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Keys } from '../keys.ts';
import { toGrant } from '../messages.ts';
import { NIL } from '../names.ts';
import { listGrants as select } from '../sql/grants.ts';

export const listGrants = async (keys: Keys, request: ListGrantsRequest): Promise<ListGrantsResponse> => {
  const { items, nextPageToken } = await pageOf({
    tokens: keys.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['grants', request.target],
    first: [NIL],
    select: ([after = NIL], limit) => select(keys.db.read, request.target, after, limit),
    cursor: (row) => [row.grant_uid],
    item: toGrant,
  });
  return { grants: items, nextPageToken };
};
