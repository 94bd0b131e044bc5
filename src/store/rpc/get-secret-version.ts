import type { GetSecretVersionRequest, SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { loadActiveSecret, loadVersion } from '../load.ts';
import { toVersion } from '../messages.ts';
import { parseVersion } from '../names.ts';
import type { Store } from '../store.ts';

export const getSecretVersion = async (store: Store, request: GetSecretVersionRequest, call: Call): Promise<SecretVersion> => {
  const path = parseVersion(request.name);
  const secret = await loadActiveSecret(store.db.read, path);
  call.annotate({ instanceUid: secret.instance_uid });
  return toVersion(secret, await loadVersion(store.db.read, path, secret));
};
