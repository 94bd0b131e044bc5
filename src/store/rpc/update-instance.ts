import { Instance, UpdateInstanceRequest } from '../../gen/strongroom/secrets/v1/instance_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkLabels, checkMask, checkRetention, checkText } from '../fields.ts';
import { loadInstance } from '../load.ts';
import { toInstance } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseInstance } from '../names.ts';
import { lockInstance, updateInstance as update } from '../sql/instances.ts';
import { assertActive, checkEtag } from '../state.ts';
import type { Store } from '../store.ts';

export const updateInstance = (store: Store, request: UpdateInstanceRequest, call: Call): Promise<Instance> => {
  const given = request.instance;
  if (!given) throw invalid('instance', 'is required');
  const path = parseInstance(given.name, 'instance.name');
  const populated = { display_name: given.displayName !== '', labels: given.labels.size > 0, retention: given.retention !== undefined };
  const fields = checkMask(request.updateMask, ['display_name', 'labels', 'retention'], (field) => populated[field]);
  const displayName = checkText(given.displayName, 'instance.display_name', 63);
  const labels = checkLabels(given.labels, 'instance.labels');
  const retention = fields.includes('retention') ? checkRetention(given.retention, 'instance.retention', store.retention) : undefined;

  return mutate(store, call, {
    request,
    codec: { request: UpdateInstanceRequest, reply: Instance },
    change: async (tx) => {
      const row = await loadInstance(tx, path, lockInstance);
      assertActive(given.name, row.state);
      checkEtag(given.name, given.etag, row.instance_uid, row.revision);
      call.annotate({ instanceUid: row.instance_uid, attributes: { fields: fields.join(',') } });
      const changed = await update(tx, {
        instance_uid: row.instance_uid,
        display_name: fields.includes('display_name') ? displayName : row.display_name,
        labels: fields.includes('labels') ? labels : row.labels,
        retention_seconds: retention ?? row.retention_seconds,
      });
      return toInstance(changed);
    },
  });
};
