import { SecretGroup, UpdateSecretGroupRequest } from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkLabels, checkMask, checkText } from '../../kernel/fields.ts';
import { parseKeepPolicy } from '../keep-policy.ts';
import { loadActiveGroup, loadGroup } from '../load.ts';
import { toGroup } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseGroup } from '../names.ts';
import { lockGroup, updateGroup } from '../sql/secret-groups.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Store } from '../store.ts';

export const updateSecretGroup = (store: Store, request: UpdateSecretGroupRequest, call: Call): Promise<SecretGroup> => {
  const given = request.secretGroup;
  if (!given) throw invalid('secret_group', 'is required');
  const path = parseGroup(given.name, 'secret_group.name');
  const populated = { display_name: given.displayName !== '', labels: given.labels.size > 0, keep_policy: !!given.keepPolicy };
  const fields = checkMask(request.updateMask, ['display_name', 'labels', 'keep_policy'], (field) => populated[field]);
  const displayName = checkText(given.displayName, 'secret_group.display_name', 63);
  const labels = checkLabels(given.labels, 'secret_group.labels');

  const keepPolicy = parseKeepPolicy(given.keepPolicy, 'secret_group.keep_policy');

  return mutate(store, call, {
    request,
    codec: { request: UpdateSecretGroupRequest, reply: SecretGroup },
    change: async (tx) => {
      const row = await loadActiveGroup(tx, path, lockGroup);
      checkEtag(given.name, given.etag, row.group_uid, row.revision);
      call.annotate({ instanceUid: row.instance_uid, attributes: { fields: fields.join(',') } });
      await updateGroup(tx, {
        ...row,
        display_name: fields.includes('display_name') ? displayName : row.display_name,
        labels: fields.includes('labels') ? labels : row.labels,
        keep_policy: fields.includes('keep_policy') ? keepPolicy : row.keep_policy,
      });
      return toGroup(await loadGroup(tx, path));
    },
  });
};
