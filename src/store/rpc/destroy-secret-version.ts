import { DestroySecretVersionRequest, type SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { parseVersion } from '../names.ts';
import { destroyVersion } from '../sql/secret-versions.ts';
import type { Store } from '../store.ts';
import { changeVersion } from '../version-state.ts';

export const destroySecretVersion = (store: Store, request: DestroySecretVersionRequest, call: Call): Promise<SecretVersion> => {
  // An alias may have moved since the caller looked.
  if (typeof parseVersion(request.name).version !== 'number') throw invalid('name', 'must give the version as a number', 'MALFORMED_NAME');
  return changeVersion(store, call, request, DestroySecretVersionRequest, async (tx, secret, version) =>
    version.state === 'DESTROYED' ? version : destroyVersion(tx, secret, version.version),
  );
};
