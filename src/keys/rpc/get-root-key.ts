import type { GetRootKeyRequest, RootKey } from '../../gen/strongroom/keys/v1/key_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Keys } from '../keys.ts';
import { toRootKey } from '../messages.ts';
import { parseRootKey } from '../names.ts';
import { selectRootKey } from '../sql/root-keys.ts';

export const getRootKey = async (keys: Keys, request: GetRootKeyRequest): Promise<RootKey> => {
  const row = await selectRootKey(keys.db.read, parseRootKey(request.name));
  if (!row) throw notFound('root key', request.name);
  return toRootKey(row);
};
