import { RollbackSecretRequest, SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { invalid } from '../../kernel/errors.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Call } from '../../kernel/table.ts';
import { untilInTime } from '../key-version.ts';
import { loadActiveSecret, loadVersion } from '../load.ts';
import { toVersion } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret, versionName } from '../names.ts';
import { prepareVersion, storeVersion, type Prepared } from '../new-version.ts';
import { lockSecret } from '../sql/secrets.ts';
import { assertReadable } from '../state.ts';
import type { Store } from '../store.ts';
import { openValue } from '../stored-value.ts';

/**
 * The number of a version is bound into its ciphertext and into its data key, so that neither can be moved to another number: the value
 * is opened and sealed again, here, in one call, under a data key of its own.
 */
export const rollbackSecret = async (store: Store, request: RollbackSecretRequest, call: Call): Promise<SecretVersion> => {
  const path = parseSecret(request.name);
  const { version: from } = request;
  if (from < 1) throw invalid('version', 'must be the number of a version, from 1');
  let prepared: Prepared;

  const attempt = () =>
    mutate(store, call, {
      request,
      codec: { request: RollbackSecretRequest, reply: SecretVersion },
      prepare: async () => {
        const row = await loadActiveSecret(store.db.read, path);
        checkEtag(request.name, request.etag, row.secret_uid, row.revision);
        const value = await openValue(store, row, from, call);
        try {
          prepared = { ...(await prepareVersion(store.envelope, row, value, null, call)), copiedFrom: from };
        } finally {
          value.bytes.fill(0);
        }
      },
      change: async (tx) => {
        const row = await loadActiveSecret(tx, path, lockSecret);
        checkEtag(request.name, request.etag, row.secret_uid, row.revision);
        assertReadable(versionName(path, from), (await loadVersion(tx, { ...path, version: from }, row)).state);
        const inserted = await storeVersion(tx, row, prepared);
        const { version } = inserted;
        const attributes = { version: String(version), copiedFrom: String(from) };
        call.annotate({ resource: versionName(path, version), instanceUid: row.instance_uid, attributes });
        return toVersion({ ...row, latest_version: version }, inserted);
      },
    });

  return untilInTime(attempt);
};
