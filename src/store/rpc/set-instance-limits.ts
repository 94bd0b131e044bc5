import { InstanceLimits, SetInstanceLimitsRequest } from '../../gen/strongroom/secrets/v1/limit_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseOverrides, toInstanceLimits } from '../limits.ts';
import { loadInstance } from '../load.ts';
import { mutate } from '../mutation.ts';
import { parseInstance } from '../names.ts';
import { raiseEpoch } from '../sql/bindings.ts';
import { lockInstance, setInstanceLimits as set } from '../sql/instances.ts';
import { assertActive } from '../state.ts';
import type { Store } from '../store.ts';

/** No change of the instance itself, whose etag belongs to those who manage it. */
export const setInstanceLimits = async (store: Store, request: SetInstanceLimitsRequest, call: Call): Promise<InstanceLimits> => {
  const path = parseInstance(request.name);
  if (!request.limits) throw invalid('limits', 'is required');
  const overrides = parseOverrides(request.limits);
  const reply = await mutate(store, call, {
    request,
    codec: { request: SetInstanceLimitsRequest, reply: InstanceLimits },
    change: async (tx) => {
      const row = await loadInstance(tx, path, lockInstance);
      assertActive(request.name, row.state);
      call.annotate({ instanceUid: row.instance_uid, attributes: { fields: Object.keys(overrides).join(',') } });
      await set(tx, row.instance_uid, overrides);
      await raiseEpoch(tx);
      return toInstanceLimits(request.name, overrides);
    },
  });
  store.bindingsChanged();
  return reply;
};
