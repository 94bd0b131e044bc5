import { Secret, UpdateSecretRequest } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkAnnotations, checkLabels, checkMask, checkText } from '../../kernel/fields.ts';
import { parseKeepPolicy } from '../keep-policy.ts';
import { loadActiveSecret, loadSecret } from '../load.ts';
import { toSecret } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret } from '../names.ts';
import { markTrim } from '../sql/trims.ts';
import { lockSecret, updateSecret as update } from '../sql/secrets.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Store } from '../store.ts';

export const updateSecret = (store: Store, request: UpdateSecretRequest, call: Call): Promise<Secret> => {
  const given = request.secret;
  if (!given) throw invalid('secret', 'is required');
  const path = parseSecret(given.name, 'secret.name');
  const populated = {
    description: given.description !== '',
    labels: given.labels.size > 0,
    annotations: given.annotations.size > 0,
    keep_policy: !!given.keepPolicy,
  };
  const fields = checkMask(request.updateMask, ['description', 'labels', 'annotations', 'keep_policy'], (field) => populated[field]);
  const description = checkText(given.description, 'secret.description', 1024);
  const labels = checkLabels(given.labels, 'secret.labels');
  const annotations = checkAnnotations(given.annotations, 'secret.annotations');

  const keepPolicy = parseKeepPolicy(given.keepPolicy, 'secret.keep_policy');

  return mutate(store, call, {
    request,
    codec: { request: UpdateSecretRequest, reply: Secret },
    change: async (tx) => {
      const row = await loadActiveSecret(tx, path, lockSecret);
      checkEtag(given.name, given.etag, row.secret_uid, row.revision);
      call.annotate({ instanceUid: row.instance_uid, attributes: { fields: fields.join(',') } });
      const changed = {
        ...row,
        description: fields.includes('description') ? description : row.description,
        labels: fields.includes('labels') ? labels : row.labels,
        annotations: fields.includes('annotations') ? annotations : row.annotations,
        keep_policy: fields.includes('keep_policy') ? keepPolicy : row.keep_policy,
      };
      await update(tx, changed);
      if (fields.includes('keep_policy')) markTrim(tx, changed);
      return toSecret(await loadSecret(tx, path));
    },
  });
};
