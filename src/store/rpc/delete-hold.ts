import { DeleteHoldRequest, DeleteHoldResponse } from '../../gen/strongroom/secrets/v1/hold_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { lockPlace } from '../hold.ts';
import { mutate } from '../mutation.ts';
import { parseHold, resourceName } from '../names.ts';
import { deleteHold as remove, releaseHeld } from '../sql/holds.ts';
import { addUnsettled, type Unsettled } from '../sql/retention.ts';
import type { Store } from '../store.ts';

/**
 * What has waited for the hold is woken in the same transaction, or once its scopes are released; it asks again, and finds any
 * other hold there is.
 */
export const deleteHold = async (store: Store, request: DeleteHoldRequest, call: Call): Promise<DeleteHoldResponse> => {
  const { resource, hold } = parseHold(request.name);
  let unsettled: Unsettled | undefined;
  const deleted = await mutate(store, call, {
    request,
    codec: { request: DeleteHoldRequest, reply: DeleteHoldResponse },
    change: async (tx) => {
      const place = await lockPlace(tx, resource);
      const { instance_uid: instanceUid } = place;
      if (!(await remove(tx, { instance_uid: instanceUid, resource: resourceName(resource) }, hold))) throw notFound('hold', request.name);
      unsettled = await addUnsettled(tx, instanceUid);
      if (!unsettled) await releaseHeld(tx, place);
      call.annotate({ instanceUid });
      return {};
    },
  });
  if (unsettled) await store.scopeRetention.settle(unsettled);
  return deleted;
};
