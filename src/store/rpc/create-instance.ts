import { v7 as uuidv7 } from 'uuid';
import { CreateInstanceRequest, Instance } from '../../gen/strongroom/secrets/v1/instance_service.ts';
import type { Call } from '../../kernel/table.ts';
import { checkLabels, checkRetention, checkText } from '../fields.ts';
import { assertNew, exists } from '../load.ts';
import { toInstance } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { instanceName, parseId } from '../names.ts';
import { insertInstance, selectInstance } from '../sql/instances.ts';
import type { Store } from '../store.ts';

/** The root key comes first: a key without an instance opens nothing, an instance without a key would be of no use. */
export const createInstance = (store: Store, request: CreateInstanceRequest, call: Call): Promise<Instance> => {
  const instance = parseId(request.instanceId, 'instance_id');
  const name = instanceName({ instance });
  const given = request.instance ?? Instance.create();
  const displayName = checkText(given.displayName, 'instance.display_name', 63);
  const labels = checkLabels(given.labels, 'instance.labels');
  const retentionSeconds = checkRetention(given.retention, 'instance.retention', store.retention);
  const instanceUid = uuidv7();
  let rootKey = '';

  return mutate(store, call, {
    request,
    codec: { request: CreateInstanceRequest, reply: Instance },
    prepare: async () => {
      await assertNew(store.db.read, name);
      if (await selectInstance(store.db.read, { instance })) throw exists(name);
      const key = { parent: 'keyRings/provider', rootKeyId: instanceUid, owner: instanceUid, correlationId: call.correlationId };
      rootKey = (await store.keys.createRootKey(key, call)).name;
    },
    change: async (tx) => {
      const row = await insertInstance(tx, { instanceUid, instanceId: instance, displayName, labels, retentionSeconds, rootKey });
      if (!row) throw exists(name);
      call.annotate({ instanceUid });
      return toInstance(row);
    },
  });
};
