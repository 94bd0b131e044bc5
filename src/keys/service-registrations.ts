// The table of the key service, continued: what is registered with root keys, and the events that tell of their life cycle.
import { KeyEventServiceService } from '../gen/strongroom/keys/v1/key_event_service.ts';
import { RegistrationServiceService } from '../gen/strongroom/keys/v1/registration_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration, type StreamLimits } from '../kernel/table.ts';
import { named, on, runWith } from './guarded.ts';
import type { Keys } from './keys.ts';
import { parseRootKey, parseScope } from './names.ts';
import { acknowledgeKeyEvents } from './rpc/acknowledge-key-events.ts';
import { listRegistrations } from './rpc/list-registrations.ts';
import { setRetention } from './rpc/set-retention.ts';
import { watchKeyEvents } from './rpc/watch-key-events.ts';

const watch: StreamLimits = { requestBytes: metadata.requestBytes, longestMs: 10 * 60_000 };

export const registrationRegistrations = (keys: Keys): Registration[] => {
  const run = runWith(keys);
  return [
    register(RegistrationServiceService, {
      listRegistrations: {
        action: 'keys.registration.list',
        resource: (r) => on('read', r.parent, (name) => parseRootKey(name, 'parent')),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listRegistrations),
      },
      setRetention: {
        action: 'keys.scope.retain',
        resource: (r) => named(r.scope, (name) => parseScope(name, 'scope')),
        audit: 'write',
        facts: ['scope', 'retained', 'reason'],
        limits: metadata,
        handler: run(setRetention),
      },
    }),
    register(KeyEventServiceService, {
      watchKeyEvents: {
        action: 'keys.event.watch',
        resource: () => ({ name: 'keyEvents' }),
        audit: 'read',
        facts: [],
        limits: watch,
        handler: run(watchKeyEvents),
      },
      acknowledgeKeyEvents: {
        action: 'keys.event.acknowledge',
        resource: () => ({ name: 'keyEvents' }),
        audit: 'write',
        facts: ['event', 'key', 'change', 'state', 'service', 'count'],
        limits: metadata,
        handler: run(acknowledgeKeyEvents),
      },
    }),
  ];
};
