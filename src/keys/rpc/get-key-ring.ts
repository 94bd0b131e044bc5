import type { GetKeyRingRequest, KeyRing } from '../../gen/strongroom/keys/v1/key_ring_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Keys } from '../keys.ts';
import { toKeyRing } from '../messages.ts';
import { parseKeyRing } from '../names.ts';
import { selectKeyRing } from '../sql/key-rings.ts';

export const getKeyRing = async (keys: Keys, request: GetKeyRingRequest): Promise<KeyRing> => {
  const row = await selectKeyRing(keys.db.read, parseKeyRing(request.name, 'name'));
  if (!row) throw notFound('key ring', request.name);
  return toKeyRing(row);
};
