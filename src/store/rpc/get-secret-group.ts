import type { GetSecretGroupRequest, SecretGroup } from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import type { Call } from '../../kernel/table.ts';
import { loadGroup } from '../load.ts';
import { toGroup } from '../messages.ts';
import { parseGroup } from '../names.ts';
import type { Store } from '../store.ts';

export const getSecretGroup = async (store: Store, request: GetSecretGroupRequest, call: Call): Promise<SecretGroup> => {
  const row = await loadGroup(store.db.read, parseGroup(request.name));
  call.annotate({ instanceUid: row.instance_uid });
  return toGroup(row);
};
