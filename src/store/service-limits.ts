// The table's part about limits.
import { LimitServiceService } from '../gen/strongroom/secrets/v1/limit_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration } from '../kernel/table.ts';
import { instanceName, parseInstance, parseResource } from './names.ts';
import { on, runWith, system } from './guarded.ts';
import { getLimits } from './rpc/get-limits.ts';
import { setInstanceLimits } from './rpc/set-instance-limits.ts';
import type { Store } from './store.ts';

export const limitRegistration = (store: Store): Registration => {
  const run = runWith(store);
  return register(LimitServiceService, {
    getLimits: {
      action: 'secrets.limits.read',
      resource: (r) => on('read', r.name, parseResource),
      audit: 'read',
      facts: [],
      limits: metadata,
      handler: run(getLimits),
    },
    setInstanceLimits: {
      action: 'secrets.limits.set',
      resource: (r) => system('manage', instanceName(parseInstance(r.name))),
      audit: 'write',
      facts: ['fields'],
      limits: metadata,
      handler: run(setInstanceLimits),
    },
  });
};
