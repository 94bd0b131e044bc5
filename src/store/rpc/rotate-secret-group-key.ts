import { RotateSecretGroupKeyRequest, SecretGroupKeyRotation } from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import { AppError } from '../../kernel/errors.ts';
import { checkSeconds } from '../../kernel/fields.ts';
import type { Call } from '../../kernel/table.ts';
import { loadActiveGroup } from '../load.ts';
import { toRekey } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseGroup } from '../names.ts';
import { beginRekey, selectRekey } from '../sql/rekeys.ts';
import { lockGroup } from '../sql/secret-groups.ts';
import type { Store } from '../store.ts';

const LONGEST_KEEP = 90 * 86_400;

/** Answers when it is on record; the work is done behind the answer (rekey.ts). */
export const rotateSecretGroupKey = async (
  store: Store,
  request: RotateSecretGroupKeyRequest,
  call: Call,
): Promise<SecretGroupKeyRotation> => {
  const path = parseGroup(request.name);
  const keepForMs = request.keepFor ? checkSeconds(request.keepFor, 'keep_for', 0, LONGEST_KEEP) * 1000 : store.rekeyKeepForMs;
  const rotation = await mutate(store, call, {
    request,
    codec: { request: RotateSecretGroupKeyRequest, reply: SecretGroupKeyRotation },
    change: async (tx) => {
      const row = await loadActiveGroup(tx, path, lockGroup);
      call.annotate({ instanceUid: row.instance_uid });
      // Asked before, because one that is under way holds its row for the length of a step.
      const before = await selectRekey(tx, row);
      if (before && before.state !== 'DONE' && !before.is_waiting) throw underWay(request.name);
      const rekey = { startedBy: call.principal, correlationId: call.correlationId, keepForMs };
      if (!(await beginRekey(tx, row, rekey))) throw underWay(request.name);
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
