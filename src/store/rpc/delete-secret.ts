import { DeleteSecretRequest, Secret } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { assertNotHeld, placeOf } from '../hold.ts';
import { loadActiveSecret, loadSecret } from '../load.ts';
import { toSecret } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret } from '../names.ts';
import { schedulePurge } from '../sql/purges.ts';
import { lockSecret, markSecretDeleted } from '../sql/secrets.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Store } from '../store.ts';

export const deleteSecret = (store: Store, request: DeleteSecretRequest, call: Call): Promise<Secret> => {
  const path = parseSecret(request.name);
  return mutate(store, call, {
    request,
    codec: { request: DeleteSecretRequest, reply: Secret },
    change: async (tx) => {
      const row = await loadActiveSecret(tx, path, lockSecret);
      checkEtag(request.name, request.etag, row.secret_uid, row.revision);
      await assertNotHeld(tx, placeOf(row), request.name, 'delete');
      await markSecretDeleted(tx, row);
      const deleted = await loadSecret(tx, path);
      const purge = { ...placeOf(row), uid: row.secret_uid, kind: 'SECRET' } as const;
      await schedulePurge(tx, { ...purge, resource: request.name, purgeTime: deleted.purge_time!, deletedBy: call.principal });
      call.annotate({ instanceUid: row.instance_uid, attributes: { purge: `purges/${row.secret_uid}` } });
      return toSecret(deleted);
    },
  });
};
