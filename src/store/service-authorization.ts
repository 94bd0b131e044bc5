// The table's part about who is who and who may do what.
import { AuthorizationServiceService } from '../gen/strongroom/secrets/v1/authorization_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration } from '../kernel/table.ts';
import { on, runWith, self } from './guarded.ts';
import { parseSecret, parseTested } from './names.ts';
import { listSecretReaders } from './rpc/list-secret-readers.ts';
import { testPermissions } from './rpc/test-permissions.ts';
import { whoAmI } from './rpc/who-am-i.ts';
import type { Store } from './store.ts';

/** Its shape is looked at here, so that no entry has another. */
const tested = (resource: string) => {
  parseTested(resource);
  return self(resource);
};

export const authorizationRegistration = (store: Store): Registration => {
  const run = runWith(store);
  return register(AuthorizationServiceService, {
    whoAmI: {
      action: 'secrets.caller.read',
      resource: () => self('caller'),
      audit: 'read',
      facts: [],
      limits: metadata,
      handler: run(whoAmI),
    },
    testPermissions: {
      action: 'secrets.permission.test',
      resource: (r) => tested(r.resource),
      audit: 'read',
      facts: [],
      limits: metadata,
      handler: run(testPermissions),
    },
    listSecretReaders: {
      action: 'secrets.secret.readers.list',
      resource: (r) => on('manage', r.name, parseSecret),
      audit: 'read',
      facts: [],
      limits: metadata,
      handler: run(listSecretReaders),
    },
  });
};
