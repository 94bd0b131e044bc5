import type { GetHoldRequest, Hold } from '../../gen/strongroom/secrets/v1/hold_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { loadPlace } from '../hold.ts';
import { toHold } from '../messages.ts';
import { parseHold, resourceName } from '../names.ts';
import { selectHold } from '../sql/holds.ts';
import type { Store } from '../store.ts';

export const getHold = async (store: Store, request: GetHoldRequest, call: Call): Promise<Hold> => {
  const { resource, hold } = parseHold(request.name);
  const { instance_uid: instanceUid } = await loadPlace(store.db.read, resource);
  call.annotate({ instanceUid });
  const row = await selectHold(store.db.read, { instance_uid: instanceUid, resource: resourceName(resource) }, hold);
  if (!row) throw notFound('hold', request.name);
  return toHold(row);
};
