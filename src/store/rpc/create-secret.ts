import { CreateSecretRequest, Secret } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import type { Sealed } from '../envelope.ts';
import { checkExpiration, checkVersionExpiration, expiryFact } from '../expiration.ts';
import { checkAnnotations, checkLabels, checkText } from '../../kernel/fields.ts';
import { newUid } from '../../kernel/uid.ts';
import { assertKeyInUse, untilInTime } from '../key-version.ts';
import { invalid } from '../../kernel/errors.ts';
import { assertNew, exists, loadActiveGroup, loadSecret } from '../load.ts';
import { toSecret } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseGroup, parseId, secretName } from '../names.ts';
import { parsePayload, valueOf } from '../payload.ts';
import { checkRotation, dueIn } from '../rotation-policy.ts';
import { scheduleExpiry } from '../sql/expirations.ts';
import { setRotation } from '../sql/rotations.ts';
import { holdGroup } from '../sql/secret-groups.ts';
import { insertVersion } from '../sql/secret-versions.ts';
import { insertSecret, selectSecret } from '../sql/secrets.ts';
import type { Store } from '../store.ts';
import { assertTakes, parseGenerator, parseType } from '../types/types.ts';

export const createSecret = (store: Store, request: CreateSecretRequest, call: Call): Promise<Secret> => {
  const group = parseGroup(request.parent, 'parent');
  const path = { ...group, secret: parseId(request.secretId, 'secret_id') };
  const name = secretName(path);
  const given = request.secret ?? Secret.create();
  const description = checkText(given.description, 'secret.description', 1024);
  const labels = checkLabels(given.labels, 'secret.labels');
  const annotations = checkAnnotations(given.annotations, 'secret.annotations');
  const now = new Date();
  const type = parseType(given.type, 'secret.type');
  const expireTime = checkExpiration(given.expiration, now);
  const rotation = checkRotation(given.rotation, type, store.rotationMinimumSeconds);
  const { payload, generate } = request;
  if (payload && generate) throw invalid('generate', 'takes the place of payload; give one of the two');
  const value = payload ? parsePayload(payload, now) : generate && valueOf(parseGenerator(type, generate, 'generate').make());
  if (value) assertTakes(type, value.kind);
  const versionExpireTime = checkVersionExpiration(request.versionExpiration, 'version_expiration', now, value?.details);
  const secretUid = newUid();
  let sealed: Sealed | undefined;
  call.annotate({ resource: name });

  const attempt = () =>
    mutate(store, call, {
      request,
      codec: { request: CreateSecretRequest, reply: Secret },
      prepare: async () => {
        const [{ instance_uid, group_uid }, , taken] = await Promise.all([
          loadActiveGroup(store.db.read, group),
          assertNew(store.db.read, name),
          selectSecret(store.db.read, path),
        ]);
        if (taken) throw exists(name);
        if (value)
          sealed = await store.envelope.seal({ instanceUid: instance_uid, groupUid: group_uid, secretUid, version: 1 }, value.bytes, call);
      },
      change: async (tx) => {
        const row = await loadActiveGroup(tx, group, holdGroup);
        const { instance_uid: instanceUid, group_uid: groupUid } = row;
        if (sealed) assertKeyInUse(row, sealed.wrappedDek);
        const facts = { description, labels, annotations, latestVersion: value ? 1 : 0, type, expireTime };
        const made = await insertSecret(tx, { instanceUid, groupUid, secretUid, secretId: path.secret, ...facts });
        if (!made) throw exists(name);
        scheduleExpiry(tx, { instance_uid: instanceUid, secret_uid: secretUid }, null, expireTime);
        if (value && sealed) {
          const sizeBytes = value.bytes.length;
          await insertVersion(tx, { ...value, ...sealed, instanceUid, secretUid, version: 1, sizeBytes, expireTime: versionExpireTime });
          scheduleExpiry(tx, { instance_uid: instanceUid, secret_uid: secretUid }, 1, versionExpireTime);
        }
        call.annotate({ instanceUid, attributes: { ...(value && { version: '1' }), ...expiryFact(expireTime ?? versionExpireTime) } });
        if (!rotation) return toSecret({ ...row, ...made });
        setRotation(
          tx,
          { instance_uid: instanceUid, secret_uid: secretUid },
          rotation,
          rotation.seconds && dueIn(rotation.seconds, Math.random()),
        );
        return toSecret(await loadSecret(tx, path));
      },
    });
  return untilInTime(attempt).finally(() => generate && value?.bytes.fill(0));
};
