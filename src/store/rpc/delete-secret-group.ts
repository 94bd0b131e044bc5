import { DeleteSecretGroupRequest, SecretGroup } from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import type { Call } from '../../kernel/table.ts';
import { assertNotHeld, placeOf } from '../hold.ts';
import { loadActiveGroup, loadGroup } from '../load.ts';
import { toGroup } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseGroup } from '../names.ts';
import { schedulePurge } from '../sql/purges.ts';
import { lockGroup, markGroupDeleted } from '../sql/secret-groups.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Store } from '../store.ts';

export const deleteSecretGroup = (store: Store, request: DeleteSecretGroupRequest, call: Call): Promise<SecretGroup> => {
  const path = parseGroup(request.name);
  return mutate(store, call, {
    request,
    codec: { request: DeleteSecretGroupRequest, reply: SecretGroup },
    change: async (tx) => {
      const row = await loadActiveGroup(tx, path, lockGroup);
      checkEtag(request.name, request.etag, row.group_uid, row.revision);
      await assertNotHeld(tx, placeOf(row), request.name, 'delete');
      await markGroupDeleted(tx, row);
      const deleted = await loadGroup(tx, path);
      const purge = { ...placeOf(row), uid: row.group_uid, kind: 'GROUP' } as const;
      await schedulePurge(tx, { ...purge, resource: request.name, purgeTime: deleted.purge_time!, deletedBy: call.principal });
      call.annotate({ instanceUid: row.instance_uid, attributes: { purge: `purges/${row.group_uid}` } });
      return toGroup(deleted);
    },
  });
};
