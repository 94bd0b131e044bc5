import { v7 as uuidv7 } from 'uuid';
import { CreateInstanceRequest, Instance } from '../../gen/strongroom/secrets/v1/instance_service.ts';
import type { Call } from '../../kernel/table.ts';
import { checkLabels, checkPolicy, checkRetention, checkText } from '../fields.ts';
import { assertNew, exists, givenUp } from '../load.ts';
import { toInstance } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { instanceName, parseId } from '../names.ts';
import { levelsOf } from '../retention.ts';
import { insertInstance, selectInstance, type Settings } from '../sql/instances.ts';
import { beginCreate, endCreate } from '../sql/unfinished-creates.ts';
import type { Store } from '../store.ts';

/**
 * The root key comes first: an instance without a key would be of no use. That it was asked for is recorded before, so that
 * the worker finds a key whose instance never came to be.
 */
export const createInstance = (store: Store, request: CreateInstanceRequest, call: Call): Promise<Instance> => {
  const instance = parseId(request.instanceId, 'instance_id');
  const name = instanceName({ instance });
  const given = request.instance ?? Instance.create();
  const settings: Settings = {
    display_name: checkText(given.displayName, 'instance.display_name', 63),
    labels: checkLabels(given.labels, 'instance.labels'),
    ...levelsOf(
      checkRetention(given.retention, 'instance.retention', store.retention),
      checkPolicy(given.retentionPolicy, 'instance.retention_policy', store.retention),
    ),
    purge_protection: given.purgeProtection,
  };
  const instanceUid = uuidv7();
  const rootKey = `keyRings/provider/keys/${instanceUid}`;

  return mutate(store, call, {
    request,
    codec: { request: CreateInstanceRequest, reply: Instance },
    prepare: async () => {
      await assertNew(store.db.read, name);
      if (await selectInstance(store.db.read, { instance })) throw exists(name);
      await store.db.transaction((tx) => beginCreate(tx, rootKey));
      const key = { parent: 'keyRings/provider', rootKeyId: instanceUid, owner: instanceUid, correlationId: call.correlationId };
      await store.keys.createRootKey(key, call);
    },
    change: async (tx) => {
      const row = await insertInstance(tx, { ...settings, instance_uid: instanceUid, instance_id: instance, root_key: rootKey });
      if (!row) throw exists(name);
      if (!(await endCreate(tx, rootKey))) throw givenUp(name);
      call.annotate({ instanceUid });
      return toInstance(row);
    },
  });
};
