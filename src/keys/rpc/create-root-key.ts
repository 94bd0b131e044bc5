import { RootKey, type CreateRootKeyRequest } from '../../gen/strongroom/keys/v1/key_service.ts';
import { AppError, invalid, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { newUid } from '../../kernel/uid.ts';
import { PROVIDER } from '../access.ts';
import { parseCorrelationId } from '../call-context.ts';
import { checkAliases, checkDescribed, checkExpiry, checkRotation } from '../fields.ts';
import { aliasTaken } from '../in-use.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseId, parseKeyRing, parseUuid, rootKeyName, type RootKeyPath } from '../names.ts';
import { selectKeyRing } from '../sql/key-rings.ts';
import { holdCurrent } from '../sql/master-keys.ts';
import { addNames, insertRootKey, selectRootKey, type NewRootKey } from '../sql/root-keys.ts';

/** The key's content, without its material. A provider-managed key has none but its owner. */
const wanted = (request: CreateRootKeyRequest, path: RootKeyPath, leastSeconds: number): Omit<NewRootKey, 'ref' | 'keyUid'> => {
  const isProvider = path.keyRing === PROVIDER.keyRing;
  if (isProvider === (request.owner === '')) throw invalid('owner', 'is required in keyRings/provider, and only there');
  const given = request.rootKey ?? RootKey.create();
  return {
    ...path,
    ...checkDescribed(given, 'root_key'),
    owner: isProvider ? parseUuid(request.owner, 'owner') : null,
    origin: 'CREATED',
    dual_authorization: given.dualAuthorization,
    rotation_seconds: checkRotation(given.rotationPolicy, 'root_key.rotation_policy', leastSeconds),
    expire_time: given.expireTime ?? null,
  };
};

export const createRootKey = async (keys: Keys, request: CreateRootKeyRequest, call: Call): Promise<RootKey> => {
  const path = { ...parseKeyRing(request.parent, 'parent'), key: parseId(request.rootKeyId, 'root_key_id') };
  const name = rootKeyName(path);
  const key = wanted(request, path, keys.rotationMinimumSeconds);
  const aliases = checkAliases(request.rootKey?.aliases ?? [], 'root_key.aliases', path.key);
  const correlationId = parseCorrelationId(request.correlationId) || call.correlationId;
  call.annotate({ resource: name, ...(key.owner === null ? {} : { instanceUid: key.owner }), correlationId });

  const created = await mutate(keys, call, async (tx) => {
    if (!(await selectKeyRing(tx, path))) throw notFound('key ring', request.parent);
    let row = await selectRootKey(tx, path);
    if (!row) {
      checkExpiry(key.expire_time ?? undefined, 'root_key.expire_time', Date.now());
      // The master key that it is sealed under stays the current one until both are committed.
      await holdCurrent(tx);
      const keyUid = newUid();
      await insertRootKey(tx, { ...key, keyUid, ref: await keys.backend.create(keyUid, 1, call.deadline) });
      if ((await addNames(tx, keyUid, path.keyRing, aliases)).length < aliases.length) throw aliasTaken(request.parent);
      row = await selectRootKey(tx, path);
    }
    if (!row || row.key_id !== path.key || row.owner !== key.owner || row.state === 'DESTROYED')
      throw taken(name, row?.state === 'DESTROYED');
    return toRootKey(row);
  });
  // It may expire before the next look.
  if (key.expire_time) keys.chores.kick();
  return created;
};

const taken = (name: string, destroyed: boolean): AppError =>
  new AppError('ALREADY_EXISTS', `${name} ${destroyed ? 'was destroyed' : 'belongs to another owner'}; choose another ID`, {
    metadata: { resource: name },
  });
