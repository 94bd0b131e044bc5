import type { GetSecretGroupKeyRotationRequest, SecretGroupKeyRotation } from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { loadGroup } from '../load.ts';
import { toRekey } from '../messages.ts';
import { parseGroup } from '../names.ts';
import { selectRekey } from '../sql/rekeys.ts';
import type { Store } from '../store.ts';

export const getSecretGroupKeyRotation = async (
  store: Store,
  request: GetSecretGroupKeyRotationRequest,
  call: Call,
): Promise<SecretGroupKeyRotation> => {
  const group = await loadGroup(store.db.read, parseGroup(request.name));
  call.annotate({ instanceUid: group.instance_uid });
  const row = await selectRekey(store.db.read, group);
  if (!row) throw notFound('rotation of the key of', request.name);
  return toRekey(row);
};
