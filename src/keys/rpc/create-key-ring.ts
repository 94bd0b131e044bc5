import { KeyRing, type CreateKeyRingRequest } from '../../gen/strongroom/keys/v1/key_ring_service.ts';
import { AppError } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { newUid } from '../../kernel/uid.ts';
import { checkDescribed } from '../fields.ts';
import type { Keys } from '../keys.ts';
import { toKeyRing } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { keyRingName, parseId } from '../names.ts';
import { insertKeyRing, selectKeyRing } from '../sql/key-rings.ts';

export const createKeyRing = async (keys: Keys, request: CreateKeyRingRequest, call: Call): Promise<KeyRing> => {
  const keyRing = parseId(request.keyRingId, 'key_ring_id');
  const settings = checkDescribed(request.keyRing ?? KeyRing.create(), 'key_ring');
  const name = keyRingName({ keyRing });
  call.annotate({ resource: name });
  return mutate(keys, call, async (tx) => {
    const inserted = await insertKeyRing(tx, keyRing, newUid(), settings);
    const row = await selectKeyRing(tx, { keyRing });
    const isSame = row?.display_name === settings.display_name && row.description === settings.description;
    if (!row || (!inserted && !isSame))
      throw new AppError('ALREADY_EXISTS', `${name} exists with other content; choose another ID`, { metadata: { resource: name } });
    return toKeyRing(row);
  });
};
