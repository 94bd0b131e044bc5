import { Secret, UpdateSecretRequest } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkAnnotations, checkLabels, checkMask, checkText } from '../../kernel/fields.ts';
import { assertKeepsRetention, checkExpiration, namesExpiration } from '../expiration.ts';
import { parseKeepPolicy } from '../keep-policy.ts';
import { loadActiveSecret, loadSecret } from '../load.ts';
import { toSecret } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret } from '../names.ts';
import { checkRotation, dueIn } from '../rotation-policy.ts';
import { setSecretExpiry } from '../sql/expirations.ts';
import { setRotation } from '../sql/rotations.ts';
import { setKeepPolicy } from '../sql/trims.ts';
import { lockSecret, updateSecret as update } from '../sql/secrets.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Store } from '../store.ts';

const BASIC = ['description', 'labels', 'annotations'] as const;
const ALL = [...BASIC, 'expire_time', 'ttl', 'rotation', 'keep_policy'] as const;
type Field = (typeof ALL)[number];

/** What erases, rotates or trims is changed by who names it, and not by who writes back what he has read. */
const fieldsOf = (mask: readonly string[] | undefined): readonly Field[] =>
  !mask || mask.length === 0 || mask.includes('*') ? BASIC : ALL;

const isPopulated = (secret: Secret, field: Field): boolean =>
  field === 'description' ? secret.description !== '' : (field === 'labels' ? secret.labels : secret.annotations).size > 0;

export const updateSecret = (store: Store, request: UpdateSecretRequest, call: Call): Promise<Secret> => {
  const given = request.secret;
  if (!given) throw invalid('secret', 'is required');
  const path = parseSecret(given.name, 'secret.name');
  const fields = checkMask(request.updateMask, fieldsOf(request.updateMask), (field) => isPopulated(given, field));
  const description = checkText(given.description, 'secret.description', 1024);
  const labels = checkLabels(given.labels, 'secret.labels');
  const annotations = checkAnnotations(given.annotations, 'secret.annotations');
  const keepPolicy = parseKeepPolicy(given.keepPolicy, 'secret.keep_policy');

  return mutate(store, call, {
    request,
    codec: { request: UpdateSecretRequest, reply: Secret },
    change: async (tx) => {
      const now = new Date();
      const row = await loadActiveSecret(tx, path, lockSecret);
      checkEtag(given.name, given.etag, row.secret_uid, row.revision);
      const expireTime = namesExpiration(fields) ? checkExpiration(given.expiration, now) : row.expire_time;
      const expiry = namesExpiration(fields) ? { expireTime: expireTime?.toISOString() ?? '' } : {};
      call.annotate({ instanceUid: row.instance_uid, attributes: { fields: fields.join(','), ...expiry } });
      await update(tx, {
        ...row,
        description: fields.includes('description') ? description : row.description,
        labels: fields.includes('labels') ? labels : row.labels,
        annotations: fields.includes('annotations') ? annotations : row.annotations,
      });
      if (namesExpiration(fields)) {
        assertKeepsRetention(row.expire_time, expireTime, row.retention_seconds, 'secret.expire_time', now);
        setSecretExpiry(tx, row, expireTime);
      }
      if (fields.includes('keep_policy')) setKeepPolicy(tx, row, keepPolicy);
      if (fields.includes('rotation')) {
        const rotation = checkRotation(given.rotation, row.type, store.rotationMinimumSeconds);
        setRotation(tx, row, rotation, rotation?.seconds ? dueIn(rotation.seconds, Math.random()) : null);
      }
      return toSecret(await loadSecret(tx, path));
    },
  });
};
