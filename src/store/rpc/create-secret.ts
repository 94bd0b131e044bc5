import { CreateSecretRequest, Secret } from '../../gen/strongroom/secrets/v1/secret_service.ts';
import type { Call } from '../../kernel/table.ts';
import type { Sealed } from '../envelope.ts';
import { checkAnnotations, checkLabels, checkText } from '../../kernel/fields.ts';
import { newUid } from '../../kernel/uid.ts';
import { assertKeyInUse, untilInTime } from '../key-version.ts';
import { assertNew, exists, loadActiveGroup } from '../load.ts';
import { toSecret } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseGroup, parseId, secretName } from '../names.ts';
import { parsePayload } from '../payload.ts';
import { assertRoom } from '../room.ts';
import { holdGroup } from '../sql/secret-groups.ts';
import { insertVersion } from '../sql/secret-versions.ts';
import { insertSecret, selectSecret } from '../sql/secrets.ts';
import type { Store } from '../store.ts';

export const createSecret = (store: Store, request: CreateSecretRequest, call: Call): Promise<Secret> => {
  const group = parseGroup(request.parent, 'parent');
  const path = { ...group, secret: parseId(request.secretId, 'secret_id') };
  const name = secretName(path);
  const given = request.secret ?? Secret.create();
  const description = checkText(given.description, 'secret.description', 1024);
  const labels = checkLabels(given.labels, 'secret.labels');
  const annotations = checkAnnotations(given.annotations, 'secret.annotations');
  const value = request.payload && parsePayload(request.payload);
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
          assertRoom(store, group, { bytes: value?.bytes.length ?? 0, secrets: 1 }),
        ]);
        if (taken) throw exists(name);
        if (value)
          sealed = await store.envelope.seal({ instanceUid: instance_uid, groupUid: group_uid, secretUid, version: 1 }, value.bytes, call);
      },
      change: async (tx) => {
        const row = await loadActiveGroup(tx, group, holdGroup);
        const { instance_uid: instanceUid, group_uid: groupUid } = row;
        if (sealed) assertKeyInUse(row, sealed.wrappedDek);
        const facts = { description, labels, annotations, latestVersion: value ? 1 : 0 };
        const made = await insertSecret(tx, { instanceUid, groupUid, secretUid, secretId: path.secret, ...facts });
        if (!made) throw exists(name);
        if (value && sealed)
          await insertVersion(tx, { ...value, ...sealed, instanceUid, secretUid, version: 1, sizeBytes: value.bytes.length });
        call.annotate({ instanceUid, attributes: value ? { version: '1' } : {} });
        return toSecret({ ...row, ...made });
      },
    });
  return untilInTime(attempt);
};
