import type { CreateScopeRequest, Scope } from '../../gen/strongroom/keys/v1/envelope_service.ts';
import { AppError, invalid, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { factsOf } from '../call-context.ts';
import type { Keys } from '../keys.ts';
import { toScope } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseRootKey, parseUuid, scopeName, type RootKeyPath } from '../names.ts';
import { scopeDestroyed, wrapNewScopeKey } from '../scope-keys.ts';
import { selectRootKey, selectVersions } from '../sql/root-keys.ts';
import { insertScope, selectScope } from '../sql/scopes.ts';

export const createScope = async (keys: Keys, request: CreateScopeRequest, call: Call): Promise<Scope> => {
  const scopeUid = parseUuid(request.scopeUid, 'scope_uid');
  const instanceUid = parseUuid(request.instanceUid, 'instance_uid');
  const path = parseRootKey(request.rootKey, 'root_key');
  call.annotate({ ...factsOf(request.callContext), instanceUid, attributes: { scope: scopeUid } });

  for (let tries = 1; ; tries++) {
    try {
      return await createUnder(keys, { scopeUid, instanceUid, path, name: request.rootKey }, call);
    } catch (error) {
      if (!(error instanceof AppError && error.reason === 'CONFLICT') || tries === 3) throw error;
    }
  }
};

interface Wanted {
  scopeUid: string;
  instanceUid: string;
  path: RootKeyPath;
  name: string;
}

const createUnder = async (keys: Keys, { scopeUid, instanceUid, path, name }: Wanted, call: Call): Promise<Scope> => {
  const rootKey = await selectRootKey(keys.db.read, path);
  if (!rootKey) throw notFound('root key', name);
  if (rootKey.owner !== instanceUid) throw invalid('instance_uid', 'is not the instance that the root key belongs to');
  if (rootKey.state === 'DESTROYED') throw new AppError('KEY_DESTROYED', `${name} was destroyed`, { metadata: { resource: name } });
  // Its primary version is another one once it has been renewed, and what the old one wraps would be lost with that.
  const renewed = () => new AppError('CONFLICT', `${name} was renewed or destroyed meanwhile; try again`);
  const version = (await selectVersions(keys.db.read, rootKey.key_uid)).find((v) => v.version === rootKey.primary_version);
  if (!version) throw renewed();
  const ref = { keyUid: rootKey.key_uid, ...version };
  const wrappedKey = await wrapNewScopeKey(keys.backend, ref, { scopeUid, instanceUid, version: 1 }, call.deadline);

  const service = call.principal;
  return mutate(keys, call, async (tx) => {
    const inserted = await insertScope(tx, { scopeUid, instanceUid, service, keyUid: ref.keyUid, keyVersion: ref.version, wrappedKey });
    const row = await selectScope(tx, scopeUid);
    if (!row) throw renewed();
    if (!inserted) {
      if (row.service !== service || row.instance_uid !== instanceUid || row.key_uid !== ref.keyUid) throw taken(scopeUid);
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
