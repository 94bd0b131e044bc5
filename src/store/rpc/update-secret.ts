import { Secret, UpdateSecretRequest } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkAnnotations, checkLabels, checkMask, checkText } from '../../kernel/fields.ts';
import { loadActiveSecret, loadSecret } from '../load.ts';
import { toSecret } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret } from '../names.ts';
import { lockSecret, updateSecret as update } from '../sql/secrets.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Store } from '../store.ts';

export const updateSecret = (store: Store, request: UpdateSecretRequest, call: Call): Promise<Secret> => {
  const given = request.secret;
  if (!given) throw invalid('secret', 'is required');
  const path = parseSecret(given.name, 'secret.name');
  const populated = { description: given.description !== '', labels: given.labels.size > 0, annotations: given.annotations.size > 0 };
  const fields = checkMask(request.updateMask, ['description', 'labels', 'annotations'], (field) => populated[field]);
  const description = checkText(given.description, 'secret.description', 1024);
  const labels = checkLabels(given.labels, 'secret.labels');
  const annotations = checkAnnotations(given.annotations, 'secret.annotations');

  return mutate(store, call, {
    request,
    codec: { request: UpdateSecretRequest, reply: Secret },
    change: async (tx) => {
      const row = await loadActiveSecret(tx, path, lockSecret);
      checkEtag(given.name, given.etag, row.secret_uid, row.revision);
      call.annotate({ instanceUid: row.instance_uid, attributes: { fields: fields.join(',') } });
      await update(tx, {
        ...row,
        description: fields.includes('description') ? description : row.description,
        labels: fields.includes('labels') ? labels : row.labels,
        annotations: fields.includes('annotations') ? annotations : row.annotations,
      });
      return toSecret(await loadSecret(tx, path));
    },
  });
};
