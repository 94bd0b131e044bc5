import {
  SecretGroupKeyRotation_State,
  type SecretGroupKeyRotation,
  type WatchSecretGroupKeyRotationRequest,
} from '../../gen/strongroom/secrets/v1/secret_group_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { loadGroup } from '../load.ts';
import { toRekey } from '../messages.ts';
import { parseGroup } from '../names.ts';
import type { Store } from '../store.ts';
import { watchRow } from '../watch.ts';

export async function* watchSecretGroupKeyRotation(
  store: Store,
  request: WatchSecretGroupKeyRotationRequest,
  call: Call,
): AsyncGenerator<SecretGroupKeyRotation> {
  const group = await loadGroup(store.db.read, parseGroup(request.name));
  call.annotate({ instanceUid: group.instance_uid });
  const look = async () => {
    const row = await store.lookAtRekey(group, Date.now() + 5_000);
    if (!row) throw notFound('rotation of the key of', request.name);
    return row;
  };
  const isLast = ({ state }: SecretGroupKeyRotation) => state === SecretGroupKeyRotation_State.DONE;
  yield* watchRow({ look, newsOf: (row) => row, toMessage: toRekey, isLast }, call.signal);
}
