import { RotateSecretRequest } from '../../gen/strongroom/secrets/v1/secret_rotation_service.ts';
import { SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Call } from '../../kernel/table.ts';
import { generate } from '../generate.ts';
import { untilInTime } from '../key-version.ts';
import { loadActiveSecret } from '../load.ts';
import { toVersion } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret, versionName } from '../names.ts';
import { prepareVersion, storeVersion, type Prepared } from '../new-version.ts';
import { assertRoom, assertRoomForVersion } from '../room.ts';
import { dueIn, recipeOf } from '../rotation-policy.ts';
import { recordRotated } from '../sql/rotations.ts';
import { lockSecret } from '../sql/secrets.ts';
import type { Store } from '../store.ts';

export const rotateSecret = (store: Store, request: RotateSecretRequest, call: Call): Promise<SecretVersion> => {
  const { name } = request;
  const path = parseSecret(name);
  let prepared: Prepared;

  const attempt = () =>
    mutate(store, call, {
      request,
      codec: { request: RotateSecretRequest, reply: SecretVersion },
      prepare: async () => {
        const [row] = await Promise.all([loadActiveSecret(store.db.read, path), assertRoom(store, path, { bytes: 1, secrets: 0 })]);
        await assertRoomForVersion(store, path, row);
        checkEtag(name, request.etag, row.secret_uid, row.revision);
        const value = await generate(store, row, recipeOf(name, row), call);
        try {
          prepared = await prepareVersion(store.envelope, row, value, null, call);
        } finally {
          value.bytes.fill(0);
        }
      },
      change: async (tx) => {
        const row = await loadActiveSecret(tx, path, lockSecret);
        checkEtag(name, request.etag, row.secret_uid, row.revision);
        const inserted = await storeVersion(tx, row, prepared);
        recordRotated(tx, row, row.rotation_seconds && dueIn(row.rotation_seconds, Math.random()));
        const { version } = inserted;
        call.annotate({ resource: versionName(path, version), instanceUid: row.instance_uid, attributes: { version: String(version) } });
        return toVersion({ ...row, latest_version: version }, inserted);
      },
    });
  return untilInTime(attempt);
};
