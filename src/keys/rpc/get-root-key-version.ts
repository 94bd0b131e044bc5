import type { GetRootKeyVersionRequest, RootKeyVersion } from '../../gen/strongroom/keys/v1/key_version_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Keys } from '../keys.ts';
import { toRootKeyVersion } from '../messages.ts';
import { parseKeyVersion } from '../names.ts';
import { selectKeyVersion } from '../sql/versions.ts';

export const getRootKeyVersion = async (keys: Keys, request: GetRootKeyVersionRequest): Promise<RootKeyVersion> => {
  const path = parseKeyVersion(request.name);
  const row = await selectKeyVersion(keys.db.read, path, path.version);
  if (!row) throw notFound('root key version', request.name);
  return toRootKeyVersion(row);
};
