// THE table of the key service: every RPC with its action, resource, audit mode, limits and handler. Start reading here; key
// rings, root keys and grants are in service-root-keys.ts, imports in service-import.ts, registrations and events in
// service-registrations.ts.
import { EnvelopeServiceService } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { ScopeServiceService } from '../gen/strongroom/keys/v1/scope_service.ts';
import { METADATA_LIMITS as metadata, register, type Limits, type Registration } from '../kernel/table.ts';
import type { Guarded } from './access.ts';
import { named, runWith } from './guarded.ts';
import type { Keys } from './keys.ts';
import { parseScope, parseUuid, scopeName } from './names.ts';
import { batchGenerateDeks } from './rpc/batch-generate-deks.ts';
import { batchGetScopes } from './rpc/batch-get-scopes.ts';
import { batchRewrapDeks } from './rpc/batch-rewrap-deks.ts';
import { batchUnwrapDeks } from './rpc/batch-unwrap-deks.ts';
import { createScope } from './rpc/create-scope.ts';
import { destroyScopeKeyVersion } from './rpc/destroy-scope-key-version.ts';
import { destroyScope } from './rpc/destroy-scope.ts';
import { generateDek } from './rpc/generate-dek.ts';
import { getScope } from './rpc/get-scope.ts';
import { rewrapDek } from './rpc/rewrap-dek.ts';
import { rotateScopeKey } from './rpc/rotate-scope-key.ts';
import { unwrapDek } from './rpc/unwrap-dek.ts';
import { registrationRegistrations } from './service-registrations.ts';
import { wrapDek } from './rpc/wrap-dek.ts';
import { importRegistrations } from './service-import.ts';
import { rootKeyRegistrations } from './service-root-keys.ts';

/** 1000 items of some 500 bytes; what names its end callers at length fits fewer. */
const batch: Limits = { requestBytes: 4 * 1024 * 1024, deadlineMs: 10_000 };

const inScope = (scope: string): Guarded => named(scope, (name) => parseScope(name, 'scope'));
const manyScopes = (): Guarded => ({ name: 'scopes' });

export const registrations = (keys: Keys): Registration[] => {
  const run = runWith(keys);
  return [
    ...rootKeyRegistrations(keys),
    ...registrationRegistrations(keys),
    ...importRegistrations(keys),
    register(EnvelopeServiceService, {
      createScope: {
        action: 'keys.scope.create',
        resource: (r) => ({ name: scopeName(parseUuid(r.scopeUid, 'scope_uid')) }),
        audit: 'write',
        facts: ['scope'],
        limits: metadata,
        handler: run(createScope),
      },
      getScope: {
        action: 'keys.scope.read',
        resource: (r) => named(r.name, parseScope),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getScope),
      },
      batchGetScopes: {
        action: 'keys.scope.read',
        resource: manyScopes,
        audit: 'read',
        facts: ['count'],
        limits: metadata,
        handler: run(batchGetScopes),
      },
      destroyScope: {
        action: 'keys.scope.destroy',
        resource: (r) => named(r.name, parseScope),
        audit: 'write',
        facts: ['scope'],
        limits: metadata,
        handler: run(destroyScope),
      },
      generateDek: {
        action: 'keys.dek.generate',
        resource: (r) => inScope(r.scope),
        audit: 'read',
        facts: ['scope', 'deks'],
        data: true,
        limits: metadata,
        handler: run(generateDek),
      },
      unwrapDek: {
        action: 'keys.dek.unwrap',
        resource: (r) => inScope(r.scope),
        audit: 'read',
        facts: ['scope', 'deks'],
        data: true,
        limits: metadata,
        handler: run(unwrapDek),
      },
      wrapDek: {
        action: 'keys.dek.wrap',
        resource: (r) => inScope(r.scope),
        audit: 'read',
        facts: ['scope', 'deks'],
        data: true,
        limits: metadata,
        handler: run(wrapDek),
      },
      rewrapDek: {
        action: 'keys.dek.rewrap',
        resource: (r) => inScope(r.scope),
        audit: 'read',
        facts: ['scope', 'deks', 'target'],
        data: true,
        limits: metadata,
        handler: run(rewrapDek),
      },
      batchGenerateDeks: {
        action: 'keys.dek.generate',
        resource: manyScopes,
        audit: 'read',
        facts: ['scope', 'deks'],
        data: true,
        limits: batch,
        handler: run(batchGenerateDeks),
      },
      batchUnwrapDeks: {
        action: 'keys.dek.unwrap',
        resource: manyScopes,
        audit: 'read',
        facts: ['scope', 'deks'],
        data: true,
        limits: batch,
        handler: run(batchUnwrapDeks),
      },
      batchRewrapDeks: {
        action: 'keys.dek.rewrap',
        resource: manyScopes,
        audit: 'read',
        facts: ['scope', 'deks', 'target'],
        data: true,
        limits: batch,
        handler: run(batchRewrapDeks),
      },
    }),
    register(ScopeServiceService, {
      rotateScopeKey: {
        action: 'keys.scope.rotate',
        resource: (r) => named(r.name, parseScope),
        audit: 'write',
        facts: ['scope', 'version'],
        limits: metadata,
        handler: run(rotateScopeKey),
      },
      destroyScopeKeyVersion: {
        action: 'keys.scope.version.destroy',
        resource: (r) => named(r.name, parseScope),
        audit: 'write',
        facts: ['scope', 'version'],
        limits: metadata,
        handler: run(destroyScopeKeyVersion),
      },
    }),
  ];
};
