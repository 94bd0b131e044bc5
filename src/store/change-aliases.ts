// What setting and deleting an alias share: the secret under lock, its etag, the new aliases, and the secret as it is then.
import { Secret } from '../gen/strongroom/secrets/v1/secret_service.ts';
import type { Queryable } from '../kernel/db.ts';
import { checkEtag } from '../kernel/etag.ts';
import type { Call } from '../kernel/table.ts';
import { loadActiveSecret, loadSecret } from './load.ts';
import { toSecret } from './messages.ts';
import { mutate, type Codec } from './mutation.ts';
import { parseSecret } from './names.ts';
import { lockSecret, setVersionAliases, type SecretRow } from './sql/secrets.ts';
import { markTrim } from './sql/trims.ts';
import type { Store } from './store.ts';

interface AliasRequest {
  name: string;
  etag: string;
  requestId: string;
}

export const changeAliases = <Request extends AliasRequest>(
  store: Store,
  call: Call,
  request: Request,
  codec: Codec<Request>,
  change: (tx: Queryable, secret: SecretRow) => Promise<SecretRow['version_aliases']>,
): Promise<Secret> => {
  const path = parseSecret(request.name);
  return mutate(store, call, {
    request,
    codec: { request: codec, reply: Secret },
    change: async (tx) => {
      const secret = await loadActiveSecret(tx, path, lockSecret);
      checkEtag(request.name, request.etag, secret.secret_uid, secret.revision);
      call.annotate({ instanceUid: secret.instance_uid });
      await setVersionAliases(tx, { ...secret, version_aliases: await change(tx, secret) });
      markTrim(tx, secret);
      return toSecret(await loadSecret(tx, path));
    },
  });
};
