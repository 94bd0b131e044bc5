import { CreateSecretRequest, Secret } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { checkExpiration, checkVersionExpiration, expiryFact } from '../expiration.ts';
import { checkAnnotations, checkLabels, checkText } from '../../kernel/fields.ts';
import { newUid } from '../../kernel/uid.ts';
import { parseKeepPolicy } from '../keep-policy.ts';
import { assertKeyInUse, untilInTime } from '../key-version.ts';
import { assertNew, exists, loadActiveGroup, loadSecret } from '../load.ts';
import { toSecret } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseGroup, parseId, secretName } from '../names.ts';
import { insertPrepared, prepareVersion, type Prepared } from '../new-version.ts';
import { parsePayload, valueOf, type Value } from '../payload.ts';
import { checkRotation, dueIn } from '../rotation-policy.ts';
import { assertRoom } from '../room.ts';
import { scheduleExpiry } from '../sql/expirations.ts';
import { setRotation } from '../sql/rotations.ts';
import { holdGroup } from '../sql/secret-groups.ts';
import { insertSecret, selectSecret } from '../sql/secrets.ts';
import type { Store } from '../store.ts';
import { parseGenerator, parseType, type TypeName } from '../types/types.ts';

const firstValue = ({ payload, generate, versionExpiration }: CreateSecretRequest, type: TypeName, now: Date): Value | undefined => {
  if (payload && generate) throw invalid('generate', 'takes the place of payload; give one of the two');
  if (payload) return parsePayload(payload, now);
  if (generate) return valueOf(parseGenerator(type, generate, 'generate').make());
  if (versionExpiration) throw invalid('version_expiration', 'is of a first version; give payload or generate');
  return undefined;
};

export const createSecret = (store: Store, request: CreateSecretRequest, call: Call): Promise<Secret> => {
  const group = parseGroup(request.parent, 'parent');
  const path = { ...group, secret: parseId(request.secretId, 'secret_id') };
  const name = secretName(path);
  const given = request.secret ?? Secret.create();
  const description = checkText(given.description, 'secret.description', 1024);
  const labels = checkLabels(given.labels, 'secret.labels');
  const annotations = checkAnnotations(given.annotations, 'secret.annotations');
  const keepPolicy = parseKeepPolicy(given.keepPolicy, 'secret.keep_policy');
  const type = parseType(given.type, 'secret.type');
  const rotation = checkRotation(given.rotation, type, store.rotationMinimumSeconds);
  const secretUid = newUid();
  let expireTime: Date | null = null;
  let first: Prepared | undefined;
  call.annotate({ resource: name });

  const attempt = () =>
    mutate(store, call, {
      request,
      codec: { request: CreateSecretRequest, reply: Secret },
      // Also what the clock or chance has a say in: a repeated request answers as it did then.
      prepare: async () => {
        const now = new Date();
        expireTime = checkExpiration(given.expiration, now);
        const value = firstValue(request, type, now);
        const versionExpireTime = checkVersionExpiration(request.versionExpiration, 'version_expiration', now, value?.details);
        const [row, , taken] = await Promise.all([
          loadActiveGroup(store.db.read, group),
          assertNew(store.db.read, name),
          selectSecret(store.db.read, path),
          assertRoom(store, group, { bytes: value?.bytes.length ?? 0, secrets: 1 }),
        ]);
        if (taken) throw exists(name);
        const secret = { ...row, secret_uid: secretUid, latest_version: 0, type };
        first = value && (await prepareVersion(store.envelope, secret, value, versionExpireTime, call));
        if (request.generate) value?.bytes.fill(0);
      },
      change: async (tx) => {
        const row = await loadActiveGroup(tx, group, holdGroup);
        const { instance_uid: instanceUid, group_uid: groupUid } = row;
        if (first) assertKeyInUse(row, first.wrappedDek);
        const facts = { description, labels, annotations, keepPolicy, latestVersion: first ? 1 : 0, type, expireTime };
        const made = await insertSecret(tx, { instanceUid, groupUid, secretUid, secretId: path.secret, ...facts });
        if (!made) throw exists(name);
        const key = { instance_uid: instanceUid, secret_uid: secretUid };
        scheduleExpiry(tx, key, null, expireTime);
        if (first) await insertPrepared(tx, key, first);
        const expiry = expiryFact(expireTime ?? first?.expireTime ?? null);
        call.annotate({ instanceUid, attributes: { ...(first && { version: '1' }), ...expiry } });
        if (!rotation) return toSecret({ ...row, ...made });
        setRotation(tx, key, rotation, rotation.seconds && dueIn(rotation.seconds, Math.random()));
        return toSecret(await loadSecret(tx, path));
      },
    });
  return untilInTime(attempt);
};
