import { Secret, UndeleteSecretRequest } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import { assertUnexpired } from '../expiration.ts';
import { loadSecret } from '../load.ts';
import { toSecret } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret } from '../names.ts';
import { unschedulePurge } from '../sql/purges.ts';
import { lockSecret, markSecretActive } from '../sql/secrets.ts';
import { checkEtag } from '../../kernel/etag.ts';
import { assertDeleted, purgeStarted } from '../state.ts';
import type { Store } from '../store.ts';

export const undeleteSecret = (store: Store, request: UndeleteSecretRequest, call: Call): Promise<Secret> => {
  const path = parseSecret(request.name);
  return mutate(store, call, {
    request,
    codec: { request: UndeleteSecretRequest, reply: Secret },
    change: async (tx) => {
      const row = await loadSecret(tx, path, lockSecret);
      assertDeleted(request.name, row.state);
      assertUnexpired(request.name, row.is_expired);
      checkEtag(request.name, request.etag, row.secret_uid, row.revision);
      if (!(await unschedulePurge(tx, row.secret_uid))) throw purgeStarted(request.name);
      await markSecretActive(tx, row);
      call.annotate({ instanceUid: row.instance_uid });
      return toSecret(await loadSecret(tx, path));
    },
  });
};
