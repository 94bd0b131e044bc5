import type { CreateScopeRequest, Scope } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { PROVIDER } from '../access.ts';
import { factsOf } from '../call-context.ts';
import { assertMayUse } from '../grant.ts';
import { materialExpired } from '../imported.ts';
import { notGranted } from '../in-use.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseRootKey, parseUuid, scopeName, type RootKeyPath } from '../names.ts';
import { scopeDestroyed, wrapNewScopeKey } from '../scope-keys.ts';
import { selectRootKey, selectVersions } from '../sql/root-keys.ts';
import { insertScope, selectScope } from '../sql/scopes.ts';
import { recordWraps } from '../sql/versions.ts';
import { assertAllows } from '../state.ts';

export const createScope = async (keys: Keys, request: CreateScopeRequest, call: Call): Promise<Scope> => {
  const scopeUid = parseUuid(request.scopeUid, 'scope_uid');
  const instanceUid = parseUuid(request.instanceUid, 'instance_uid');
  const path = parseRootKey(request.rootKey, 'root_key');
  call.annotate({ ...factsOf(request.callContext), instanceUid, attributes: { scope: scopeUid } });

  for (let tries = 1; ; tries++) {
    try {
      return await createUnder(keys, { scopeUid, instanceUid, instance: request.instance, path, name: request.rootKey }, call);
    } catch (error) {
      if (!(error instanceof AppError && error.reason === 'CONFLICT') || tries === 3) throw error;
    }
  }
};

interface Wanted {
  scopeUid: string;
  instanceUid: string;
  instance: string;
  path: RootKeyPath;
  name: string;
}

const createUnder = async (keys: Keys, { scopeUid, instanceUid, instance, path, name }: Wanted, call: Call): Promise<Scope> => {
  const rootKey = await selectRootKey(keys.db.read, path);
  // What is hidden and what is absent look alike to who has no grant.
  if (!rootKey) throw path.keyRing === PROVIDER.keyRing ? notFound('root key', name) : notGranted(name);
  await assertMayUse(keys, call.principal, rootKey, { instanceUid, instance });
  assertAllows(name, rootKey.state, 'wrap');
  // Its primary version is another one once it has been renewed, and what the old one wraps would be lost with that.
  const renewed = () => new AppError('CONFLICT', `${name} was renewed or destroyed meanwhile; try again`);
  const version = (await selectVersions(keys.db.read, rootKey.key_uid)).find((v) => v.version === rootKey.primary_version);
  if (!version) throw renewed();
  if (version.is_expired) throw materialExpired();
  const ref = { keyUid: rootKey.key_uid, version: version.version, ref: version.ref };
  const wrappedKey = await wrapNewScopeKey(keys.backend, ref, { scopeUid, instanceUid, version: 1 }, call.deadline);

  return mutate(keys, call, async (tx) => {
    const scope = { scopeUid, instanceUid, service: call.principal, instance, keyUid: ref.keyUid, keyVersion: ref.version, wrappedKey };
    const inserted = await insertScope(tx, scope);
    if (inserted) await recordWraps(tx, ref.keyUid, ref.version, 1);
    const row = await selectScope(tx, scopeUid);
    if (!row) throw renewed();
    if (!inserted) {
      if (row.instance_uid !== instanceUid || row.key_uid !== ref.keyUid || row.service !== call.principal) throw taken(scopeUid);
      if (row.destroy_time) throw scopeDestroyed(scopeUid);
    }
    return toScope(row);
  });
};

const taken = (scopeUid: string): AppError =>
  new AppError(
    'ALREADY_EXISTS',
    `${scopeName(scopeUid)} exists for another instance or service, or under another root key; choose another UUID`,
    {
      metadata: { scope: scopeName(scopeUid) },
    },
  );
