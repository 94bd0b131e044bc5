import { AddSecretVersionRequest, SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkVersionExpiration, expiryFact } from '../expiration.ts';
import { generate } from '../generate.ts';
import { untilInTime } from '../key-version.ts';
import { loadActiveSecret } from '../load.ts';
import { toVersion } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret, versionName } from '../names.ts';
import { prepareVersion, storeVersion, type Prepared } from '../new-version.ts';
import { parsePayload } from '../payload.ts';
import { assertRoom, assertRoomForVersion } from '../room.ts';
import { lockSecret } from '../sql/secrets.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Store } from '../store.ts';
import { parseGenerator } from '../types/types.ts';

/**
 * The version's number is bound into its ciphertext, so it is sealed for the number that is next now; if another writer
 * takes that number first, it is sealed again for the one after; and again also if the key of its group was replaced.
 */
export const addSecretVersion = async (store: Store, request: AddSecretVersionRequest, call: Call): Promise<SecretVersion> => {
  const path = parseSecret(request.parent, 'parent');
  const { payload, generate: generator } = request;
  if (!payload === !generator) throw invalid('payload', 'is required, or generate in its place');
  let prepared: Prepared;

  const attempt = () =>
    mutate(store, call, {
      request,
      codec: { request: AddSecretVersionRequest, reply: SecretVersion },
      // Also what the clock or chance has a say in: a repeated request answers as it did then.
      prepare: async () => {
        const now = new Date();
        const given = payload && parsePayload(payload, now);
        const expireTime = checkVersionExpiration(request.expiration, 'expiration', now, given?.details);
        const [row] = await Promise.all([
          loadActiveSecret(store.db.read, path),
          assertRoom(store, path, { bytes: given?.bytes.length ?? 1, secrets: 0 }),
        ]);
        await assertRoomForVersion(store, path, row);
        checkEtag(request.parent, request.etag, row.secret_uid, row.revision);
        const made = generator && (await generate(store, row, parseGenerator(row.type, generator, 'generate'), call));
        try {
          prepared = await prepareVersion(store.envelope, row, (given ?? made)!, expireTime, call);
        } finally {
          made?.bytes.fill(0);
        }
      },
      change: async (tx) => {
        const row = await loadActiveSecret(tx, path, lockSecret);
        checkEtag(request.parent, request.etag, row.secret_uid, row.revision);
        const { instance_uid: instanceUid } = row;
        const { version } = prepared;
        const inserted = await storeVersion(tx, row, prepared);
        call.annotate({
          resource: versionName(path, version),
          instanceUid,
          attributes: { version: String(version), ...expiryFact(prepared.expireTime) },
        });
        return toVersion(row, inserted);
      },
    });

  return untilInTime(attempt);
};
