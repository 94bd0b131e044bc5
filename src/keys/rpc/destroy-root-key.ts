import type { DestroyRootKeyRequest, RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseCorrelationId } from '../call-context.ts';
import { destroyMaterial } from '../destruction.ts';
import { inUse } from '../in-use.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { destroy } from '../mutation.ts';
import { parseRootKey } from '../names.ts';
import { lockRootKey, selectRootKey } from '../sql/root-keys.ts';
import { assertAllows } from '../state.ts';

export const destroyRootKey = async (keys: Keys, request: DestroyRootKeyRequest, call: Call): Promise<RootKey> => {
  const path = parseRootKey(request.name);
  call.annotate({ correlationId: parseCorrelationId(request.correlationId) || call.correlationId });
  const destroyed = await destroy(keys, call, async (tx) => {
    const row = await lockRootKey(tx, path);
    if (!row) throw notFound('root key', request.name);
    call.annotate({ ...(row.owner === null ? {} : { instanceUid: row.owner }), attributes: { key: row.key_uid } });
    if (row.state === 'DESTROYED') return { reply: toRootKey(row), revoked: false };
    // A provider-managed key ends with its instance, in whatever state; a customer's has had its wait.
    if (row.owner === null) assertAllows(request.name, row.state, 'destroy');
    else if (row.scope_count > 0n) throw inUse(request.name, row.scope_count);
    await destroyMaterial(keys.backend, tx, request.name, row.key_uid, call.deadline);
    return { reply: toRootKey((await selectRootKey(tx, path)) ?? row), revoked: true };
  });
  keys.events.made();
  return destroyed;
};
