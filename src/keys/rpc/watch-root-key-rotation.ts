import { setTimeout as sleep } from 'node:timers/promises';
import {
  RootKeyRotation,
  RootKeyRotation_State,
  type WatchRootKeyRotationRequest,
} from '../../gen/strongroom/keys/v1/key_version_service.ts';
import { notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Keys } from '../keys.ts';
import { toRotation } from '../messages.ts';
import { parseRootKey } from '../names.ts';
import { selectRotation } from '../sql/rotation.ts';

const EVERY_MS = 500;

export async function* watchRootKeyRotation(
  keys: Keys,
  request: WatchRootKeyRotationRequest,
  { signal }: Call,
): AsyncGenerator<RootKeyRotation> {
  const path = parseRootKey(request.name);
  for (let told = ''; !signal.aborted; await sleep(EVERY_MS, undefined, { signal })) {
    const row = await selectRotation(keys.db.read, path);
    if (!row) throw notFound('root key', request.name);
    const rotation = toRotation(row);
    const news = Buffer.from(RootKeyRotation.encode(rotation).finish()).toString('base64');
    if (news !== told) yield rotation;
    told = news;
    if (rotation.state === RootKeyRotation_State.DONE) return;
  }
}
