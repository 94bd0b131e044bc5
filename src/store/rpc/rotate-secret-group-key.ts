import { RotateSecretGroupKeyRequest, SecretGroupKeyRotation } from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import { AppError } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { loadActiveGroup } from '../load.ts';
import { toRekey } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseGroup } from '../names.ts';
import { beginRekey, selectRekey } from '../sql/rekeys.ts';
import { lockGroup } from '../sql/secret-groups.ts';
import type { Store } from '../store.ts';

/** Answers when it is on record; the work is done behind the answer (rekey.ts). */
export const rotateSecretGroupKey = async (
  store: Store,
  request: RotateSecretGroupKeyRequest,
  call: Call,
): Promise<SecretGroupKeyRotation> => {
  const path = parseGroup(request.name);
  const rotation = await mutate(store, call, {
    request,
    codec: { request: RotateSecretGroupKeyRequest, reply: SecretGroupKeyRotation },
    change: async (tx) => {
      const row = await loadActiveGroup(tx, path, lockGroup);
      call.annotate({ instanceUid: row.instance_uid });
      // Asked before, because one that is under way holds its row for the length of a step.
      const before = await selectRekey(tx, row);
      if (before && before.state !== 'DONE') throw underWay(request.name);
      if (!(await beginRekey(tx, row, call.principal, call.correlationId))) throw underWay(request.name);
      return toRekey((await selectRekey(tx, row))!);
    },
  });
  store.rekeys.kick();
  return rotation;
};

const underWay = (name: string): AppError =>
  new AppError('ROTATION_UNDER_WAY', `the key of ${name} is being replaced; wait until that is done, WatchSecretGroupKeyRotation tells`, {
    metadata: { resource: name },
  });
