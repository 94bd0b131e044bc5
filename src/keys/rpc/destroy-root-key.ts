import type { DestroyRootKeyRequest, RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseCorrelationId } from '../call-context.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { destroy } from '../mutation.ts';
import { parseRootKey } from '../names.ts';
import { destroyRootKey as forget, lockRootKey, selectRootKey, selectVersions } from '../sql/root-keys.ts';

/** The material goes first, the reference after it: whatever comes between, a repeated call ends the work. */
export const destroyRootKey = (keys: Keys, request: DestroyRootKeyRequest, call: Call): Promise<RootKey> => {
  const path = parseRootKey(request.name);
  call.annotate({ correlationId: parseCorrelationId(request.correlationId) || call.correlationId });
  return destroy(keys, call, async (tx) => {
    const row = await lockRootKey(tx, path);
    if (!row) throw notFound('root key', request.name);
    call.annotate({ instanceUid: row.owner ?? '', attributes: { key: row.key_uid } });
    if (row.state === 'DESTROYED') return { reply: toRootKey(row), destroyed: false };
    if (row.scope_count > 0n) throw inUse(request.name, row.scope_count);
    for (const version of await selectVersions(tx, row.key_uid))
      await keys.backend.destroy({ keyUid: row.key_uid, ...version }, call.deadline);
    await forget(tx, row.key_uid);
    return { reply: toRootKey((await selectRootKey(tx, path)) ?? row), destroyed: true };
  });
};

const inUse = (name: string, scopes: bigint): AppError =>
  new AppError('KEY_IN_USE', `${name} protects ${scopes} scopes; destroy them first`, {
    metadata: { resource: name, scopes: String(scopes) },
  });
