// What enabling, disabling, destroying and restoring a version share: load under lock, check, change, answer.
import { SecretVersion } from '../gen/strongroom/secrets/v1/secret_service.ts';
import type { Transaction } from '../kernel/db.ts';
import type { Call } from '../kernel/table.ts';
import { assertUnexpired } from './expiration.ts';
import { loadActiveSecret, loadVersion } from './load.ts';
import { toVersion } from './messages.ts';
import { mutate, type Codec } from './mutation.ts';
import { parseVersion, versionName } from './names.ts';
import type { VersionRow } from './sql/secret-versions.ts';
import { lockSecret, type SecretRow } from './sql/secrets.ts';
import { checkEtag } from '../kernel/etag.ts';
import type { Store } from './store.ts';

interface VersionRequest {
  name: string;
  etag: string;
  requestId: string;
}

export const changeVersion = <Request extends VersionRequest>(
  store: Store,
  call: Call,
  request: Request,
  codec: Codec<Request>,
  change: (tx: Transaction, secret: SecretRow, version: VersionRow, name: string) => Promise<VersionRow>,
): Promise<SecretVersion> => {
  const path = parseVersion(request.name);
  return mutate(store, call, {
    request,
    codec: { request: codec, reply: SecretVersion },
    change: async (tx) => {
      const secret = await loadActiveSecret(tx, path, lockSecret);
      const version = await loadVersion(tx, path, secret);
      const name = versionName(path, version.version);
      if (version.state !== 'DESTROYED') assertUnexpired(name, version.is_expired);
      checkEtag(name, request.etag, secret.secret_uid, version.revision);
      call.annotate({ resource: name, instanceUid: secret.instance_uid, attributes: { version: String(version.version) } });
      return toVersion(secret, await change(tx, secret, version, name));
    },
  });
};
