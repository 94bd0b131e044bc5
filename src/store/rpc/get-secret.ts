import type { GetSecretRequest, Secret } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { loadSecret } from '../load.ts';
import { toSecret, toUsage } from '../messages.ts';
import { parseSecret } from '../names.ts';
import { selectUsage } from '../sql/secret-accesses.ts';
import type { Store } from '../store.ts';

export const getSecret = async (store: Store, request: GetSecretRequest, call: Call): Promise<Secret> => {
  const path = parseSecret(request.name);
  const [row, usage] = await Promise.all([loadSecret(store.db.read, path), selectUsage(store.db.read, path)]);
  call.annotate({ instanceUid: row.instance_uid });
  return { ...toSecret(row), usage: usage && toUsage(usage) };
};
