import { CreateHoldRequest, Hold } from '../../gen/strongroom/secrets/v1/hold_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkText } from '../../kernel/fields.ts';
import { loadPlace, lockPlace, parseEffect } from '../hold.ts';
import { exists } from '../load.ts';
import { toHold } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { holdName, parseId, parseResource } from '../names.ts';
import { insertHold } from '../sql/holds.ts';
import { addUnsettled, type Unsettled } from '../sql/retention.ts';
import type { Store } from '../store.ts';

/** Nobody can begin a purge, or destroy a key, of what is held from the moment when this is answered. */
export const createHold = (store: Store, request: CreateHoldRequest, call: Call): Promise<Hold> => {
  const path = parseResource(request.parent, 'parent');
  const name = holdName(request.parent, parseId(request.holdId, 'hold_id'));
  const given = request.hold;
  if (!given) throw invalid('hold', 'is required');
  const effect = parseEffect(given.effect, 'hold.effect');
  const reason = checkText(given.reason, 'hold.reason', 1024);
  if (reason.trim() === '') throw invalid('hold.reason', 'is required: say why, for who finds the hold later');
  call.annotate({ resource: name, attributes: { effect } });
  let unsettled: Unsettled | undefined;

  return mutate(store, call, {
    request,
    codec: { request: CreateHoldRequest, reply: Hold },
    prepare: async () => {
      const { instance_uid: instanceUid } = await loadPlace(store.db.read, path);
      unsettled = await store.db.transaction((tx) => addUnsettled(tx, instanceUid));
    },
    change: async (tx) => {
      const place = await lockPlace(tx, path);
      const hold = { ...place, resource: request.parent, hold_id: request.holdId, effect, reason, created_by: call.principal };
      const row = await insertHold(tx, hold);
      if (!row) throw exists(name);
      if (unsettled) await store.scopeRetention.retain(tx, place, unsettled, name, call);
      call.annotate({ instanceUid: place.instance_uid });
      return toHold(row);
    },
  });
};
