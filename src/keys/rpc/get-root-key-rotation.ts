import type { GetRootKeyRotationRequest, RootKeyRotation } from '../../gen/strongroom/keys/v1/key_version_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Keys } from '../keys.ts';
import { toRotation } from '../messages.ts';
import { parseRootKey } from '../names.ts';
import { selectRotation } from '../sql/rotation.ts';

export const getRootKeyRotation = async (keys: Keys, request: GetRootKeyRotationRequest): Promise<RootKeyRotation> => {
  const row = await selectRotation(keys.db.read, parseRootKey(request.name));
  if (!row) throw notFound('root key', request.name);
  return toRotation(row);
};
