import type { ListOwnGrantsRequest, ListOwnGrantsResponse } from '../../gen/strongroom/keys/v1/grant_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import type { Keys } from '../keys.ts';
import { toGrant } from '../messages.ts';
import { NIL } from '../names.ts';
import { listGrantsTo } from '../sql/grants.ts';

export const listOwnGrants = async (keys: Keys, request: ListOwnGrantsRequest, call: Call): Promise<ListOwnGrantsResponse> => {
  const { items, nextPageToken } = await pageOf({
    tokens: keys.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['ownGrants', call.principal],
    first: [NIL],
    select: ([after = NIL], limit) => listGrantsTo(keys.db.read, call.principal, after, limit),
    cursor: (row) => [row.grant_uid],
    item: toGrant,
  });
  return { grants: items, nextPageToken };
};
