// The table's part about versions: what they are called, and what locks them.
import { SecretVersionAliasServiceService } from '../gen/strongroom/secrets/v1/secret_version_alias_service.ts';
import { METADATA_LIMITS as metadata, register, type Registration } from '../kernel/table.ts';
import { on, runWith } from './guarded.ts';
import { parseSecret } from './names.ts';
import { deleteVersionAlias } from './rpc/delete-version-alias.ts';
import { setVersionAlias } from './rpc/set-version-alias.ts';
import type { Store } from './store.ts';

export const versionRegistrations = (store: Store): Registration[] => {
  const run = runWith(store);
  return [
    register(SecretVersionAliasServiceService, {
      setVersionAlias: {
        action: 'secrets.alias.set',
        resource: (r) => on('write', r.name, parseSecret),
        audit: 'write',
        facts: ['alias', 'version', 'versionBefore'],
        limits: metadata,
        handler: run(setVersionAlias),
      },
      deleteVersionAlias: {
        action: 'secrets.alias.delete',
        resource: (r) => on('write', r.name, parseSecret),
        audit: 'write',
        facts: ['alias', 'versionBefore'],
        limits: metadata,
        handler: run(deleteVersionAlias),
      },
    }),
  ];
};
