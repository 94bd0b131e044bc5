import type { Scope } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import type { RotateScopeKeyRequest } from '../../gen/strongroom/keys/v1/scope_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Queryable } from '../../kernel/db.ts';
import type { Call } from '../../kernel/table.ts';
import type { RootKeyRef } from '../backend.ts';
import { factsOf } from '../call-context.ts';
import { notGranted } from '../in-use.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { revoke } from '../mutation.ts';
import { parseVersionNumber, parseScope, rootKeyName, scopeName } from '../names.ts';
import { scopeDestroyed, wrapNewScopeKey } from '../scope-keys.ts';
import { selectVersions } from '../sql/root-keys.ts';
import { addScopeVersion } from '../sql/scope-versions.ts';
import { lockScope, selectScope, type ScopeRow } from '../sql/scopes.ts';
import { recordWraps } from '../sql/versions.ts';
import { assertAllows } from '../state.ts';

/** Nothing is taken away, but the epoch is raised all the same: so that within a second every replica wraps by the new version. */
export const rotateScopeKey = (keys: Keys, request: RotateScopeKeyRequest, call: Call): Promise<Scope> => {
  const scopeUid = parseScope(request.name);
  const expected = parseVersionNumber(request.expectedVersion, 'expected_version');
  call.annotate({ ...factsOf(request.callContext), attributes: { scope: scopeUid, version: String(expected + 1) } });
  return revoke(keys, call, async (tx) => {
    const row = await lockScope(tx, scopeUid);
    if (!row || row.service !== call.principal) throw notFound('scope', request.name);
    call.annotate({ instanceUid: row.instance_uid });
    if (row.destroy_time) throw scopeDestroyed(scopeUid);
    if (row.primary_version === expected + 1) return { reply: toScope(row), revoked: false };
    if (row.primary_version !== expected) throw mismatch(row, expected);
    const name = rootKeyName({ keyRing: row.key_ring, key: row.key_id });
    if (!row.granted) throw notGranted(name);
    assertAllows(name, row.key_state, 'wrap');
    const version = { scopeUid, instanceUid: row.instance_uid, version: expected + 1 };
    const rootKey = await primaryOf(tx, row, name);
    const wrappedKey = await wrapNewScopeKey(keys.backend, rootKey, version, call.deadline);
    await addScopeVersion(tx, { scopeUid, version: version.version, keyUid: row.key_uid, keyVersion: rootKey.version, wrappedKey });
    await recordWraps(tx, row.key_uid, rootKey.version, 1);
    return { reply: toScope((await selectScope(tx, scopeUid)) ?? row), revoked: true };
  });
};

const primaryOf = async (tx: Queryable, row: ScopeRow, name: string): Promise<RootKeyRef> => {
  const version = (await selectVersions(tx, row.key_uid)).find((one) => one.version === row.key_primary_version);
  if (!version) throw new AppError('DATA_CORRUPTED', `the primary version of ${name} was destroyed`);
  return { keyUid: row.key_uid, ...version };
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
