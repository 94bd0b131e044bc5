import { CreateInstanceRequest, Instance } from '../../gen/strongroom/secrets/v1/instance_service.ts';
import type { Queryable } from '../../kernel/db.ts';
import type { Call } from '../../kernel/table.ts';
import { checkLabels, checkText } from '../../kernel/fields.ts';
import { newUid } from '../../kernel/uid.ts';
import { checkPolicy, checkRetention } from '../fields.ts';
import { keyStateOf, type KeyState } from '../key-state.ts';
import { assertNew, exists, givenUp } from '../load.ts';
import { toInstance } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { checkNetworks } from '../networks.ts';
import { instanceName, parseId, parseRootKey } from '../names.ts';
import { levelsOf } from '../retention.ts';
import { insertInstance, selectInstance, type Settings } from '../sql/instances.ts';
import { lockKeyStates } from '../sql/key-state.ts';
import { beginCreate, endCreate } from '../sql/unfinished-creates.ts';
import type { Store } from '../store.ts';

const PROVIDER = 'keyRings/provider';

/**
 * The root key, or the registration with a customer's, comes first: an instance without a key would be of no use. That it was
 * asked for is recorded before, so that the worker finds what was made for an instance that never came to be.
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
    allowed_networks: checkNetworks(given.allowedNetworks, 'instance.allowed_networks'),
  };
  const instanceUid = newUid();
  const customers = given.rootKey === '' ? undefined : parseRootKey(given.rootKey, 'instance.root_key');
  const begun = customers ? `scopes/${instanceUid}` : `${PROVIDER}/keys/${instanceUid}`;
  let rootKey = begun;

  return mutate(store, call, {
    request,
    codec: { request: CreateInstanceRequest, reply: Instance },
    prepare: async () => {
      await assertNew(store.db.read, name);
      if (await selectInstance(store.db.read, { instance })) throw exists(name);
      await store.db.transaction((tx) => beginCreate(tx, begun));
      rootKey = await (customers ? register(store, customers, instanceUid, name, call) : makeRootKey(store, instanceUid, call));
    },
    change: async (tx) => {
      const keyState = customers ? await askForKey(store, tx, rootKey, begun, call) : 'ENABLED';
      const row = await insertInstance(tx, {
        ...settings,
        instance_uid: instanceUid,
        instance_id: instance,
        root_key: rootKey,
        key_state: keyState,
      });
      if (!row) throw exists(name);
      if (!(await endCreate(tx, begun))) throw givenUp(name);
      call.annotate({ instanceUid });
      return toInstance(row);
    },
  });
};

const makeRootKey = async (store: Store, owner: string, call: Call): Promise<string> => {
  const request = { parent: PROVIDER, rootKeyId: owner, owner, correlationId: call.correlationId, rootKey: undefined };
  return (await store.keys.createRootKey(request, call)).name;
};

/** A customer's key must be granted to the instance, and lists it from then on: as a scope, of the instance itself. */
const register = async (store: Store, rootKey: string, instanceUid: string, instance: string, call: Call): Promise<string> => {
  const callContext = { principal: call.principal, resource: instance, correlationId: call.correlationId, traceId: call.traceId };
  return (await store.scopes.createScope({ scopeUid: instanceUid, rootKey, instanceUid, instance, callContext }, call)).rootKey;
};

/** How the key is now. What becomes of it from here on is told once the instance is there: who is told takes the lock too. */
const askForKey = async (store: Store, tx: Queryable, rootKey: string, scope: string, call: Call): Promise<KeyState> => {
  await lockKeyStates(tx, [rootKey]);
  return keyStateOf(await store.scopes.getScope({ name: scope }, call));
};
