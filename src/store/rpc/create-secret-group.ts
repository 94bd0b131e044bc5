import { CreateSecretGroupRequest, SecretGroup } from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import type { Call } from '../../kernel/table.ts';
import { checkLabels, checkText } from '../../kernel/fields.ts';
import { newUid } from '../../kernel/uid.ts';
import { parseKeepPolicy } from '../keep-policy.ts';
import { assertNew, exists, givenUp, loadGroup, loadInstance } from '../load.ts';
import { toGroup } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { groupName, parseId, parseInstance } from '../names.ts';
import { assertRoomForGroup } from '../room.ts';
import { holdInstance } from '../sql/instances.ts';
import { addUnsettled, type Unsettled } from '../sql/retention.ts';
import { insertGroup, selectGroup } from '../sql/secret-groups.ts';
import { beginCreate, endCreate } from '../sql/unfinished-creates.ts';
import { assertActive } from '../state.ts';
import type { Store } from '../store.ts';

/** The scope comes first, and before it the record that it was asked for; see create-instance.ts. */
export const createSecretGroup = async (store: Store, request: CreateSecretGroupRequest, call: Call): Promise<SecretGroup> => {
  const parent = parseInstance(request.parent, 'parent');
  const path = { ...parent, group: parseId(request.secretGroupId, 'secret_group_id') };
  const name = groupName(path);
  const given = request.secretGroup ?? SecretGroup.create();
  const displayName = checkText(given.displayName, 'secret_group.display_name', 63);
  const labels = checkLabels(given.labels, 'secret_group.labels');
  const keepPolicy = parseKeepPolicy(given.keepPolicy, 'secret_group.keep_policy');
  const groupUid = newUid();
  const scope = `scopes/${groupUid}`;
  let unsettled: Unsettled | undefined;
  call.annotate({ resource: name });

  const created = await mutate(store, call, {
    request,
    codec: { request: CreateSecretGroupRequest, reply: SecretGroup },
    prepare: async () => {
      const instance = await loadInstance(store.db.read, parent);
      assertActive(request.parent, instance.state);
      await assertNew(store.db.read, name);
      if (await selectGroup(store.db.read, path)) throw exists(name);
      await assertRoomForGroup(store, parent, instance.instance_uid);
      await store.db.transaction((tx) => beginCreate(tx, scope));
      const callContext = { principal: call.principal, resource: name, correlationId: call.correlationId, traceId: call.traceId };
      await store.scopes.createScope(
        { scopeUid: groupUid, rootKey: instance.root_key, instanceUid: instance.instance_uid, instance: request.parent, callContext },
        call,
      );
    },
    change: async (tx) => {
      const instance = await loadInstance(tx, parent, holdInstance);
      assertActive(request.parent, instance.state);
      if (!(await insertGroup(tx, { instanceUid: instance.instance_uid, groupUid, groupId: path.group, displayName, labels, keepPolicy })))
        throw exists(name);
      if (!(await endCreate(tx, scope))) throw givenUp(name);
      unsettled = await addUnsettled(tx, instance.instance_uid, { ifHeld: true });
      call.annotate({ instanceUid: instance.instance_uid });
      return toGroup(await loadGroup(tx, path));
    },
  });
  if (unsettled) await store.scopeRetention.settle(unsettled);
  return created;
};
