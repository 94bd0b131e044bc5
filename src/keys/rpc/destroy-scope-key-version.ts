import type { Scope } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { DestroyScopeKeyVersionRequest } from '../../gen/strongroom/keys/v1/scope_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { factsOf } from '../call-context.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { destroy } from '../mutation.ts';
import { parseVersionNumber, parseScope } from '../names.ts';
import { destroyScopeVersions } from '../sql/scope-versions.ts';
import { lockScope, selectScope } from '../sql/scopes.ts';

export const destroyScopeKeyVersion = (keys: Keys, request: DestroyScopeKeyVersionRequest, call: Call): Promise<Scope> => {
  const scopeUid = parseScope(request.name);
  const version = parseVersionNumber(request.version, 'version');
  call.annotate({ ...factsOf(request.callContext), attributes: { scope: scopeUid, version: String(version) } });
  return destroy(keys, call, async (tx) => {
    const row = await lockScope(tx, scopeUid);
    if (!row || row.service !== call.principal) throw notFound('scope', request.name);
    call.annotate({ instanceUid: row.instance_uid });
    if (version > row.primary_version) throw notFound('version', `${version} of the key of ${request.name}`);
    if (version === row.primary_version && !row.destroy_time) throw inUse(request.name, version);
    const destroyed = (await destroyScopeVersions(tx, [{ scopeUid, version }])) === 1;
    return { reply: toScope((await selectScope(tx, scopeUid)) ?? row), revoked: destroyed };
  });
};

const inUse = (name: string, version: number): AppError =>
  new AppError('KEY_IN_USE', `version ${version} of the key of ${name} is primary; rotate the key first, or destroy the scope`, {
    metadata: { resource: name, version: String(version) },
  });
