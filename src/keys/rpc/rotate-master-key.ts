import type { MasterKeyStatus, RotateMasterKeyRequest } from '../../gen/strongroom/keys/v1/key_service.ts';
import { eventOf } from '../../kernel/audit.ts';
import type { Call } from '../../kernel/table.ts';
import { parseCorrelationId } from '../call-context.ts';
import type { Keys } from '../keys.ts';
import { toMasterKeyStatus } from '../messages.ts';
import { masterKeyName, parseMasterKeyId } from '../names.ts';
import { countSealed, selectMasterKeys } from '../sql/master-keys.ts';

/** Answers when the new key is the current one; root keys are renewed under it behind the answer. */
export const rotateMasterKey = async (keys: Keys, request: RotateMasterKeyRequest, call: Call): Promise<MasterKeyStatus> => {
  const currentId = parseMasterKeyId(request.currentId, 'current_id');
  call.annotate({ correlationId: parseCorrelationId(request.correlationId) || call.correlationId });
  await keys.epochs.rotate(currentId, (id, previous) => {
    call.annotate({ resource: masterKeyName(id), attributes: { masterKey: id, previous } });
    return eventOf(call);
  });
  const [rows, counts] = await Promise.all([selectMasterKeys(keys.db.read), countSealed(keys.db.read)]);
  return toMasterKeyStatus(rows, counts, keys.files.list(), keys.schedule);
};
