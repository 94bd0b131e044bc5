import type { ListSecretsRequest, ListSecretsResponse } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import { parseFilter } from '../filter.ts';
import { shownTo } from '../guarded.ts';
import { parseGroups, parseOrder, parseReadMask } from '../listing.ts';
import { loadActiveGroup, loadInstance } from '../load.ts';
import { toSecret } from '../messages.ts';
import type { GroupPath, InstancePath } from '../names.ts';
import { listSecrets as select, type Cursor, type ListedSecret, type SecretList } from '../sql/secret-list.ts';
import { assertActive } from '../state.ts';
import type { Store } from '../store.ts';

export const listSecrets = async (store: Store, request: ListSecretsRequest, call: Call): Promise<ListSecretsResponse> => {
  const { parent, showDeleted, filter, orderBy } = request;
  const whose = await toList(store, parseGroups(parent), call);
  const list = { ...whose, showDeleted, filter: parseFilter(filter), order: parseOrder(orderBy) };
  const masked = parseReadMask(request.readMask);
  const { items, nextPageToken } = await pageOf({
    tokens: store.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['secrets', list.instanceUid, parent, String(showDeleted), filter, orderBy],
    first: [],
    select: ([first, second], limit) => read(store, list, first !== undefined && second !== undefined ? [first, second] : undefined, limit),
    cursor: (row): Cursor => (list.order.by === 'secret_id' ? [row.group_id, row.secret_id] : [row.cursor_time ?? '', row.secret_uid]),
    item: (row) => masked(toSecret(row)),
  });
  return { secrets: items, nextPageToken };
};

const toList = async (store: Store, path: GroupPath | InstancePath, call: Call): Promise<Pick<SecretList, 'instanceUid' | 'groups'>> => {
  if ('group' in path) {
    const { instance_uid: instanceUid, group_id: group } = await loadActiveGroup(store.db.read, path);
    call.annotate({ instanceUid });
    return { instanceUid, groups: [group] };
  }
  const groups = (await shownTo(store, call, path)) ?? null;
  const { instance_uid: instanceUid, state } = await loadInstance(store.db.read, path);
  assertActive(call.resource, state);
  return { instanceUid, groups };
};

/** What a filter leaves of a large group may take long to find; it must not keep the other reads waiting. */
const read = (store: Store, list: SecretList, after: Cursor | undefined, limit: number): Promise<ListedSecret[]> =>
  list.filter ? store.db.transaction((tx) => select(tx, list, after, limit)) : select(store.db.read, list, after, limit);
