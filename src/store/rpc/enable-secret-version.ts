import { EnableSecretVersionRequest, type SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { setVersionState } from '../sql/secret-versions.ts';
import { assertKept } from '../state.ts';
import type { Store } from '../store.ts';
import { changeVersion } from '../version-state.ts';

export const enableSecretVersion = (store: Store, request: EnableSecretVersionRequest, call: Call): Promise<SecretVersion> =>
  changeVersion(store, call, request, EnableSecretVersionRequest, async (tx, secret, version, name) => {
    assertKept(name, version.state);
    return version.state === 'ENABLED' ? version : setVersionState(tx, secret, version.version, 'ENABLED');
  });
