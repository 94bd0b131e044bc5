import type { MasterKeyStatus, RotateMasterKeyRequest } from '../../gen/strongroom/keys/v1/key_service.ts';
import { eventOf } from '../../kernel/audit.ts';
import type { Call } from '../../kernel/table.ts';
import { parseCorrelationId } from '../call-context.ts';
import { folderFailed } from '../key-files.ts';
import type { Keys } from '../keys.ts';
import { masterKeyStatus } from '../master-key-status.ts';
import { masterKeyName, parseMasterKeyId } from '../names.ts';

/** Answers when the new key is the current one; root keys are renewed under it behind the answer. */
export const rotateMasterKey = async (keys: Keys, request: RotateMasterKeyRequest, call: Call): Promise<MasterKeyStatus> => {
  const currentId = parseMasterKeyId(request.currentId, 'current_id');
  call.annotate({ correlationId: parseCorrelationId(request.correlationId) || call.correlationId });
  const event = (id: string, previous: string) => {
    call.annotate({ resource: masterKeyName(id), attributes: { masterKey: id, previous } });
    return eventOf(call);
  };
  await keys.epochs.rotate(currentId, event).catch((error: unknown) => {
    throw folderFailed(error);
  });
  return masterKeyStatus(keys);
};
