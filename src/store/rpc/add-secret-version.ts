import { AddSecretVersionRequest, SecretVersion } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { etagMismatch, invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkVersionExpiration, expiryFact } from '../expiration.ts';
import { generate } from '../generate.ts';
import { Overtaken, untilInTime } from '../key-version.ts';
import { loadActiveSecret, loadVersion } from '../load.ts';
import { toVersion } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseSecret, versionName, type SecretPath } from '../names.ts';
import { prepareVersion, storeVersion, type Prepared } from '../new-version.ts';
import { parsePayload } from '../payload.ts';
import { assertRoom, assertRoomForVersion } from '../room.ts';
import { lockSecret, type SecretRow } from '../sql/secrets.ts';
import { checkEtag } from '../../kernel/etag.ts';
import type { Queryable } from '../../kernel/db.ts';
import type { Store } from '../store.ts';
import { isNewest } from '../stored-value.ts';
import { parseGenerator } from '../types/types.ts';

const load = async (db: Queryable, path: SecretPath, request: AddSecretVersionRequest, select?: typeof lockSecret): Promise<SecretRow> => {
  const row = await loadActiveSecret(db, path, select);
  const { parent, etag, expectedLatestVersion: expected } = request;
  checkEtag(parent, etag, row.secret_uid, row.revision);
  if (expected !== undefined && expected !== row.latest_version) throw etagMismatch(`latest version of ${parent}`);
  return row;
};

/** The newest version, which was found to have the value already, if that can still be said. */
const loadNewest = async (tx: Queryable, path: SecretPath, row: SecretRow, version: number) => {
  const newest = row.latest_version === version ? await loadVersion(tx, { ...path, version }, row) : undefined;
  if (newest?.state !== 'ENABLED') throw new Overtaken('others were changing versions of this secret');
  return newest;
};

/**
 * The version's number is bound into its ciphertext, so it is sealed for the number that is next now; if another writer
 * takes that number first, it is sealed again for the one after; and again also if the key of its group was replaced.
 */
export const addSecretVersion = async (store: Store, request: AddSecretVersionRequest, call: Call): Promise<SecretVersion> => {
  const path = parseSecret(request.parent, 'parent');
  const { payload, generate: generator, onlyIfChanged } = request;
  if (!payload === !generator) throw invalid('payload', 'is required, or generate in its place');
  if (generator && onlyIfChanged) throw invalid('only_if_changed', 'is for a payload; what is generated is always another');
  /** Undefined: the newest version, this one, has the value already. */
  let prepared: Prepared | undefined;
  let newest = 0;

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
          load(store.db.read, path, request),
          assertRoom(store, path, { bytes: given?.bytes.length ?? 1, secrets: 0 }),
        ]);
        newest = row.latest_version;
        prepared = undefined;
        if (onlyIfChanged && given && (await isNewest(store, row, given, call))) return;
        await assertRoomForVersion(store, path, row);
        const made = generator && (await generate(store, row, parseGenerator(row.type, generator, 'generate'), call));
        try {
          prepared = await prepareVersion(store.envelope, row, (given ?? made)!, expireTime, call);
        } finally {
          made?.bytes.fill(0);
        }
      },
      change: async (tx) => {
        const row = await load(tx, path, request, lockSecret);
        const kept = prepared ? await storeVersion(tx, row, prepared) : await loadNewest(tx, path, row, newest);
        const { version } = kept;
        const attributes = { version: String(version), ...(prepared ? expiryFact(prepared.expireTime) : { unchanged: 'true' }) };
        call.annotate({ resource: versionName(path, version), instanceUid: row.instance_uid, attributes });
        return toVersion({ ...row, latest_version: version }, kept);
      },
    });

  return untilInTime(attempt);
};
