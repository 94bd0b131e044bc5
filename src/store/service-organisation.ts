// The table's part about what watches secrets.
import { SecretWatchServiceService } from '../gen/strongroom/secrets/v1/secret_watch_service.ts';
import { register, type Registration } from '../kernel/table.ts';
import { on, runWith, WATCH_LIMITS as watch } from './guarded.ts';
import { parseGroup } from './names.ts';
import { watchSecrets } from './rpc/watch-secrets.ts';
import type { Store } from './store.ts';

export const organisationRegistration = (store: Store): Registration =>
  register(SecretWatchServiceService, {
    watchSecrets: {
      action: 'secrets.secret.watch',
      resource: (r) => on('read', r.parent, (name) => parseGroup(name, 'parent')),
      audit: 'read',
      facts: [],
      limits: watch,
      handler: runWith(store)(watchSecrets),
    },
  });
