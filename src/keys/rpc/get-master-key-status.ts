import type { GetMasterKeyStatusRequest, MasterKeyStatus } from '../../gen/strongroom/keys/v1/key_service.ts';
import type { Keys } from '../keys.ts';
import { masterKeyStatus } from '../master-key-status.ts';

export const getMasterKeyStatus = async (keys: Keys, _request: GetMasterKeyStatusRequest): Promise<MasterKeyStatus> => {
  return masterKeyStatus(keys);
};
