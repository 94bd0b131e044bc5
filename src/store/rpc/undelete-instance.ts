import { Instance, UndeleteInstanceRequest } from '../../gen/strongroom/secrets/v1/instance_service.ts';
import type { Call } from '../../kernel/table.ts';
import { loadInstance } from '../load.ts';
import { toInstance } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseInstance } from '../names.ts';
import { lockInstance, markInstanceActive } from '../sql/instances.ts';
import { unschedulePurge } from '../sql/purges.ts';
import { checkEtag } from '../../kernel/etag.ts';
import { assertDeleted, purgeStarted } from '../state.ts';
import type { Store } from '../store.ts';

export const undeleteInstance = (store: Store, request: UndeleteInstanceRequest, call: Call): Promise<Instance> => {
  const path = parseInstance(request.name);
  return mutate(store, call, {
    request,
    codec: { request: UndeleteInstanceRequest, reply: Instance },
    change: async (tx) => {
      const row = await loadInstance(tx, path, lockInstance);
      assertDeleted(request.name, row.state);
      checkEtag(request.name, request.etag, row.instance_uid, row.revision);
      if (!(await unschedulePurge(tx, row.instance_uid))) throw purgeStarted(request.name);
      call.annotate({ instanceUid: row.instance_uid });
      return toInstance(await markInstanceActive(tx, row.instance_uid));
    },
  });
};
