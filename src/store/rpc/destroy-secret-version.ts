import { DestroySecretVersionRequest, type SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { destroy, destructionOf } from '../destroy.ts';
import { assertNotHeld, placeOf } from '../hold.ts';
import { parseNumberedVersion } from '../names.ts';
import type { Store } from '../store.ts';
import { changeVersion } from '../version-state.ts';

export const destroySecretVersion = (store: Store, request: DestroySecretVersionRequest, call: Call): Promise<SecretVersion> => {
  parseNumberedVersion(request.name);
  return changeVersion(store, call, request, DestroySecretVersionRequest, async (tx, secret, before, name) => {
    if (before.state === 'DESTROYED' || before.state === 'DESTROY_SCHEDULED') return before;
    await assertNotHeld(tx, placeOf(secret), name, destructionOf(secret), before.version);
    const { row, attributes } = await destroy(tx, secret, before.version, call.principal);
    call.annotate({ attributes });
    return row;
  });
};
