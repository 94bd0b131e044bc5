import type { KeyRing, UpdateKeyRingRequest } from '../../gen/strongroom/keys/v1/key_ring_service.ts';
import { invalid, notFound } from '../../kernel/errors.ts';
import { checkMask } from '../../kernel/fields.ts';
import type { Call } from '../../kernel/table.ts';
import { checkDescribed } from '../fields.ts';
import type { Keys } from '../keys.ts';
import { toKeyRing } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseKeyRing } from '../names.ts';
import { lockKeyRing, selectKeyRing, updateKeyRing as update } from '../sql/key-rings.ts';
import { checkEtag } from '../../kernel/etag.ts';

export const updateKeyRing = async (keys: Keys, request: UpdateKeyRingRequest, call: Call): Promise<KeyRing> => {
  const given = request.keyRing;
  if (!given) throw invalid('key_ring', 'is required');
  const path = parseKeyRing(given.name, 'key_ring.name');
  const populated = { display_name: given.displayName !== '', description: given.description !== '', labels: given.labels.size > 0 };
  const fields = checkMask(request.updateMask, ['display_name', 'description', 'labels'], (field) => populated[field]);
  const wanted = checkDescribed(given, 'key_ring');
  call.annotate({ attributes: { fields: fields.join(',') } });

  return mutate(keys, call, async (tx) => {
    const row = await lockKeyRing(tx, path);
    if (!row) throw notFound('key ring', given.name);
    checkEtag(given.name, given.etag, row.ring_uid, row.revision);
    await update(tx, path.keyRing, {
      display_name: fields.includes('display_name') ? wanted.display_name : row.display_name,
      description: fields.includes('description') ? wanted.description : row.description,
      labels: fields.includes('labels') ? wanted.labels : row.labels,
    });
    return toKeyRing((await selectKeyRing(tx, path)) ?? row);
  });
};
