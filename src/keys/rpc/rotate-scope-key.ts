import type { Scope } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { RotateScopeKeyRequest } from '../../gen/strongroom/keys/v1/scope_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { factsOf } from '../call-context.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseKeyVersion, parseScope, rootKeyName, scopeName } from '../names.ts';
import { scopeDestroyed, wrapNewScopeKey } from '../scope-keys.ts';
import { selectVersions } from '../sql/root-keys.ts';
import { addScopeVersion } from '../sql/scope-versions.ts';
import { lockScope, raiseEpoch, selectScope, type ScopeRow } from '../sql/scopes.ts';

/** Nothing is taken away, but the epoch is raised all the same: so that within a second every replica wraps by the new version. */
export const rotateScopeKey = async (keys: Keys, request: RotateScopeKeyRequest, call: Call): Promise<Scope> => {
  const scopeUid = parseScope(request.name);
  const expected = parseKeyVersion(request.expectedVersion, 'expected_version');
  call.annotate({ ...factsOf(request.callContext), attributes: { scope: scopeUid, version: String(expected + 1) } });
  let epoch: bigint | undefined;
  const scope = await mutate(keys, call, async (tx) => {
    epoch = undefined;
    const row = await lockScope(tx, scopeUid);
    if (!row || row.service !== call.principal) throw notFound('scope', request.name);
    call.annotate({ instanceUid: row.instance_uid });
    if (row.destroy_time) throw scopeDestroyed(scopeUid);
    if (row.primary_version === expected + 1) return toScope(row);
    if (row.primary_version !== expected) throw mismatch(row, expected);
    const rootKey = (await selectVersions(tx, row.key_uid)).find(({ version }) => version === row.key_primary_version);
    if (!rootKey) throw keyDestroyed(row);
    const version = { scopeUid, instanceUid: row.instance_uid, version: expected + 1 };
    const wrappedKey = await wrapNewScopeKey(keys.backend, { keyUid: row.key_uid, ...rootKey }, version, call.deadline);
    await addScopeVersion(tx, { scopeUid, version: version.version, keyUid: row.key_uid, keyVersion: rootKey.version, wrappedKey });
    epoch = await raiseEpoch(tx);
    return toScope((await selectScope(tx, scopeUid)) ?? row);
  });
  if (epoch !== undefined) keys.scopeKeys.raised(epoch);
  return scope;
};

const mismatch = (row: ScopeRow, expected: number): AppError => {
  const name = scopeName(row.scope_uid);
  return new AppError(
    'ETAG_MISMATCH',
    `version ${row.primary_version} of the key of ${name} is primary, not ${expected}; read it and decide again`,
    {
      metadata: { resource: name, version: String(row.primary_version) },
    },
  );
};

const keyDestroyed = (row: ScopeRow): AppError => {
  const name = rootKeyName({ keyRing: row.key_ring, key: row.key_id });
  return new AppError('KEY_DESTROYED', `${name} was destroyed`, { metadata: { resource: name } });
};
