import type { GetMasterKeyStatusRequest, MasterKeyStatus } from '../../gen/strongroom/keys/v1/key_service.ts';
import type { Keys } from '../keys.ts';
import { toMasterKeyStatus } from '../messages.ts';
import { countSealed, selectMasterKeys } from '../sql/master-keys.ts';

export const getMasterKeyStatus = async (keys: Keys, _request: GetMasterKeyStatusRequest): Promise<MasterKeyStatus> => {
  const [rows, counts] = await Promise.all([selectMasterKeys(keys.db.read), countSealed(keys.db.read)]);
  return toMasterKeyStatus(rows, counts, keys.files.list(), keys.schedule);
};
