import { SecretGroup, UndeleteSecretGroupRequest } from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import type { Call } from '../../kernel/table.ts';
import { loadGroup } from '../load.ts';
import { toGroup } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseGroup } from '../names.ts';
import { unschedulePurge } from '../sql/purges.ts';
import { lockGroup, markGroupActive } from '../sql/secret-groups.ts';
import { checkEtag } from '../../kernel/etag.ts';
import { assertDeleted, purgeStarted } from '../state.ts';
import type { Store } from '../store.ts';

export const undeleteSecretGroup = (store: Store, request: UndeleteSecretGroupRequest, call: Call): Promise<SecretGroup> => {
  const path = parseGroup(request.name);
  return mutate(store, call, {
    request,
    codec: { request: UndeleteSecretGroupRequest, reply: SecretGroup },
    change: async (tx) => {
      const row = await loadGroup(tx, path, lockGroup);
      assertDeleted(request.name, row.state);
      checkEtag(request.name, request.etag, row.group_uid, row.revision);
      if (!(await unschedulePurge(tx, row.group_uid))) throw purgeStarted(request.name);
      await markGroupActive(tx, row);
      call.annotate({ instanceUid: row.instance_uid });
      return toGroup(await loadGroup(tx, path));
    },
  });
};
