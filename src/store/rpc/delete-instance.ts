import { DeleteInstanceRequest, Instance } from '../../gen/strongroom/secrets/v1/instance_service.ts';
import type { Call } from '../../kernel/table.ts';
import { assertNotHeld, placeOf } from '../hold.ts';
import { loadInstance } from '../load.ts';
import { toInstance } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseInstance } from '../names.ts';
import { lockInstance, markInstanceDeleted } from '../sql/instances.ts';
import { schedulePurge } from '../sql/purges.ts';
import { checkEtag } from '../../kernel/etag.ts';
import { assertActive } from '../state.ts';
import type { Store } from '../store.ts';

export const deleteInstance = (store: Store, request: DeleteInstanceRequest, call: Call): Promise<Instance> => {
  const path = parseInstance(request.name);
  return mutate(store, call, {
    request,
    codec: { request: DeleteInstanceRequest, reply: Instance },
    change: async (tx) => {
      const row = await loadInstance(tx, path, lockInstance);
      assertActive(request.name, row.state);
      checkEtag(request.name, request.etag, row.instance_uid, row.revision);
      await assertNotHeld(tx, placeOf(row), request.name, 'delete');
      const deleted = await markInstanceDeleted(tx, row.instance_uid);
      const purge = { ...placeOf(row), uid: row.instance_uid, kind: 'INSTANCE' } as const;
      await schedulePurge(tx, { ...purge, resource: request.name, purgeTime: deleted.purge_time!, deletedBy: call.principal });
      call.annotate({ instanceUid: row.instance_uid, attributes: { purge: `purges/${row.instance_uid}` } });
      return toInstance(deleted);
    },
  });
};
