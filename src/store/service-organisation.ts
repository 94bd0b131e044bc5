// The table's part about what watches secrets, and moves them.
import { SecretMoveServiceService } from '../gen/strongroom/secrets/v1/secret_move_service.ts';
import { SecretWatchServiceService } from '../gen/strongroom/secrets/v1/secret_watch_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration } from '../kernel/table.ts';
import { on, runWith, WATCH_LIMITS as watch } from './guarded.ts';
import { parseGroup, parseSecret } from './names.ts';
import { moveSecret } from './rpc/move-secret.ts';
import { watchSecrets } from './rpc/watch-secrets.ts';
import type { Store } from './store.ts';

export const organisationRegistrations = (store: Store): Registration[] => {
  const run = runWith(store);
  return [
    register(SecretMoveServiceService, {
      // Of the group that it comes to, the handler asks.
      moveSecret: {
        action: 'secrets.secret.move',
        resource: (r) => on('manage', r.name, parseSecret),
        audit: 'write',
        facts: ['destination'],
        limits: metadata,
        handler: run(moveSecret),
      },
    }),
    register(SecretWatchServiceService, {
      watchSecrets: {
        action: 'secrets.secret.watch',
        resource: (r) => on('read', r.parent, (name) => parseGroup(name, 'parent')),
        audit: 'read',
        facts: [],
        limits: watch,
        handler: run(watchSecrets),
      },
    }),
  ];
};
