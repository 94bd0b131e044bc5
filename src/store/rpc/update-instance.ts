import { Instance, UpdateInstanceRequest } from '../../gen/strongroom/secrets/v1/instance_service.ts';
import { AppError, invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkLabels, checkMask, checkText } from '../../kernel/fields.ts';
import { administers } from '../access.ts';
import { checkPolicy, checkRetention } from '../fields.ts';
import { loadInstance } from '../load.ts';
import { toInstance } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseInstance } from '../names.ts';
import { admitsFrom, checkNetworks } from '../networks.ts';
import { assertProtects, levelsOf } from '../retention.ts';
import { raiseEpoch } from '../sql/bindings.ts';
import { lockInstance, updateInstance as update } from '../sql/instances.ts';
import { checkEtag } from '../../kernel/etag.ts';
import { assertActive } from '../state.ts';
import type { Store } from '../store.ts';

export const updateInstance = async (store: Store, request: UpdateInstanceRequest, call: Call): Promise<Instance> => {
  const given = request.instance;
  if (!given) throw invalid('instance', 'is required');
  const path = parseInstance(given.name, 'instance.name');
  const populated = {
    display_name: given.displayName !== '',
    labels: given.labels.size > 0,
    retention: given.retention !== undefined,
    retention_policy: given.retentionPolicy !== undefined,
    purge_protection: given.purgeProtection,
    allowed_networks: given.allowedNetworks.length > 0,
  };
  const fields = checkMask(request.updateMask, Object.keys(populated) as (keyof typeof populated)[], (field) => populated[field]);
  const displayName = checkText(given.displayName, 'instance.display_name', 63);
  const labels = checkLabels(given.labels, 'instance.labels');
  const seconds = fields.includes('retention') ? checkRetention(given.retention, 'instance.retention', store.retention) : undefined;
  const levels = fields.includes('retention_policy')
    ? checkPolicy(given.retentionPolicy, 'instance.retention_policy', store.retention)
    : undefined;
  const networks = fields.includes('allowed_networks') ? checkNetworks(given.allowedNetworks, 'instance.allowed_networks') : undefined;
  if (networks && !request.allowLockout) await assertStaysIn(store, given.name, networks, call);

  const reply = await mutate(store, call, {
    request,
    codec: { request: UpdateInstanceRequest, reply: Instance },
    change: async (tx) => {
      const row = await loadInstance(tx, path, lockInstance);
      assertActive(given.name, row.state);
      checkEtag(given.name, given.etag, row.instance_uid, row.revision);
      call.annotate({ instanceUid: row.instance_uid, attributes: { fields: fields.join(',') } });
      const after = {
        ...row,
        ...(levels ? levelsOf(row.retention_seconds, levels) : {}),
        retention_seconds: seconds ?? row.retention_seconds,
        display_name: fields.includes('display_name') ? displayName : row.display_name,
        labels: fields.includes('labels') ? labels : row.labels,
        purge_protection: fields.includes('purge_protection') ? given.purgeProtection : row.purge_protection,
        allowed_networks: networks ?? row.allowed_networks,
      };
      assertProtects(given.name, row, after);
      if (networks) await raiseEpoch(tx);
      return toInstance(await update(tx, after));
    },
  });
  if (networks) store.bindingsChanged();
  return reply;
};

/** Who shuts himself out cannot let himself in again. */
const assertStaysIn = async (store: Store, name: string, networks: readonly string[], call: Call): Promise<void> => {
  const address = call.sourceAddress;
  if (admitsFrom(networks)(address) || administers(await store.bindingsOf(call.principal), 'manage')) return;
  throw new AppError(
    'WOULD_LOCK_OUT',
    `${address}, from where this call comes, is in none of the allowed_networks of ${name}; add its network, or say allow_lockout`,
    { metadata: { resource: name, address } },
  );
};
