import { AddSecretVersionRequest, SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Sealed } from '../envelope.ts';
import { assertKeyInUse, Overtaken, untilInTime } from '../key-version.ts';
import { loadActiveSecret } from '../load.ts';
import { toVersion } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret, versionName } from '../names.ts';
import { parsePayload } from '../payload.ts';
import { assertRoom, assertRoomForVersion } from '../room.ts';
import { insertVersion } from '../sql/secret-versions.ts';
import { lockSecret, setLatestVersion } from '../sql/secrets.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Store } from '../store.ts';

/**
 * The version's number is bound into its ciphertext, so it is sealed for the number that is next now; if another writer
 * takes that number first, it is sealed again for the one after; and again also if the key of its group was replaced.
 */
export const addSecretVersion = async (store: Store, request: AddSecretVersionRequest, call: Call): Promise<SecretVersion> => {
  const path = parseSecret(request.parent, 'parent');
  if (!request.payload) throw invalid('payload', 'is required');
  const value = parsePayload(request.payload);
  let version = 0;
  let sealed: Sealed | undefined;

  const attempt = () =>
    mutate(store, call, {
      request,
      codec: { request: AddSecretVersionRequest, reply: SecretVersion },
      prepare: async () => {
        const [row] = await Promise.all([
          loadActiveSecret(store.db.read, path),
          assertRoom(store, path, { bytes: value.bytes.length, secrets: 0 }),
        ]);
        await assertRoomForVersion(store, path, row);
        checkEtag(request.parent, request.etag, row.secret_uid, row.revision);
        version = row.latest_version + 1;
        sealed = await store.envelope.seal(
          { instanceUid: row.instance_uid, groupUid: row.group_uid, secretUid: row.secret_uid, version },
          value.bytes,
          call,
        );
      },
      change: async (tx) => {
        const row = await loadActiveSecret(tx, path, lockSecret);
        checkEtag(request.parent, request.etag, row.secret_uid, row.revision);
        if (row.latest_version + 1 !== version || !sealed) throw new Overtaken('other writers were adding versions to this secret');
        assertKeyInUse(row, sealed.wrappedDek);
        const { instance_uid: instanceUid, secret_uid: secretUid } = row;
        const inserted = await insertVersion(tx, { ...value, ...sealed, instanceUid, secretUid, version, sizeBytes: value.bytes.length });
        setLatestVersion(tx, row, version);
        call.annotate({ resource: versionName(path, version), instanceUid, attributes: { version: String(version) } });
        return toVersion(row, inserted);
      },
    });

  return untilInTime(attempt);
};
