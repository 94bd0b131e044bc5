import type { ListRegistrationsRequest, ListRegistrationsResponse } from '../../gen/strongroom/keys/v1/registration_service.ts';
import { notFound } from '../../kernel/errors.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Keys } from '../keys.ts';
import { toRegistration } from '../messages.ts';
import { NIL, parseRootKey } from '../names.ts';
import { listRegistrations as select } from '../sql/registrations.ts';
import { selectKeyId } from '../sql/root-keys.ts';

export const listRegistrations = async (keys: Keys, request: ListRegistrationsRequest): Promise<ListRegistrationsResponse> => {
  const path = parseRootKey(request.parent, 'parent');
  if ((await selectKeyId(keys.db.read, path)) === undefined) throw notFound('root key', request.parent);
  const { items, nextPageToken } = await pageOf({
    tokens: keys.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['registrations', request.parent],
    first: [NIL],
    select: ([after = NIL], limit) => select(keys.db.read, path, after, limit),
    cursor: (row) => [row.scope_uid],
    item: toRegistration,
  });
  return { registrations: items, nextPageToken };
};
