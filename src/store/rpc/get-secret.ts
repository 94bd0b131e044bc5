import type { GetSecretRequest, Secret } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { loadSecret } from '../load.ts';
import { toSecret } from '../messages.ts';
import { parseSecret } from '../names.ts';
import type { Store } from '../store.ts';

export const getSecret = async (store: Store, request: GetSecretRequest, call: Call): Promise<Secret> => {
  const row = await loadSecret(store.db.read, parseSecret(request.name));
  call.annotate({ instanceUid: row.instance_uid });
  return toSecret(row);
};
