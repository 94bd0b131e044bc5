import { v7 as uuidv7 } from 'uuid';
import type { CreateRootKeyRequest, RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { AppError } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseCorrelationId } from '../call-context.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseId, parseKeyRing, parseUuid, rootKeyName } from '../names.ts';
import { holdCurrent } from '../sql/master-keys.ts';
import { insertRootKey, selectRootKey, type RootKeyRow } from '../sql/root-keys.ts';

export const createRootKey = async (keys: Keys, request: CreateRootKeyRequest, call: Call): Promise<RootKey> => {
  const path = { ...parseKeyRing(request.parent, 'parent'), key: parseId(request.rootKeyId, 'root_key_id') };
  const owner = parseUuid(request.owner, 'owner');
  const correlationId = parseCorrelationId(request.correlationId) || call.correlationId;
  call.annotate({ resource: rootKeyName(path), instanceUid: owner, correlationId });

  return mutate(keys, call, async (tx) => {
    if (!(await selectRootKey(tx, path))) {
      // The master key that it is sealed under stays the current one until both are committed.
      await holdCurrent(tx);
      const keyUid = uuidv7();
      await insertRootKey(tx, { ...path, keyUid, owner, ref: await keys.backend.create(keyUid, 1, call.deadline) });
    }
    const row = await selectRootKey(tx, path);
    if (!row || row.owner !== owner || row.state === 'DESTROYED') throw taken(path, row);
    return toRootKey(row);
  });
};

const taken = (path: { keyRing: string; key: string }, row: RootKeyRow | undefined): AppError =>
  new AppError(
    'ALREADY_EXISTS',
    `${rootKeyName(path)} ${row?.state === 'DESTROYED' ? 'was destroyed' : 'belongs to another owner'}; choose another ID`,
    {
      metadata: { resource: rootKeyName(path) },
    },
  );
