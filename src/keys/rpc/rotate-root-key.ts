import type { RootKeyVersion, RotateRootKeyRequest } from '../../gen/strongroom/keys/v1/key_version_service.ts';
import { invalid, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Keys } from '../keys.ts';
import { toRootKeyVersion } from '../messages.ts';
import { mutate } from '../mutation.ts';
import { parseRootKey } from '../names.ts';
import { rotate } from '../rotation.ts';
import { lockRootKey } from '../sql/root-keys.ts';
import { selectKeyVersion } from '../sql/versions.ts';
import { assertAllows } from '../state.ts';

export const rotateRootKey = async (keys: Keys, request: RotateRootKeyRequest, call: Call): Promise<RootKeyVersion> => {
  const path = parseRootKey(request.name);
  if (request.primaryVersion < 1) throw invalid('primary_version', 'is required: the number of the version to be replaced');
  const rotated = await mutate(keys, call, async (tx) => {
    const row = await lockRootKey(tx, path);
    if (!row) throw notFound('root key', request.name);
    if (request.primaryVersion > row.primary_version)
      throw notFound('root key version', `${request.name}/versions/${request.primaryVersion}`);
    const isPrimary = request.primaryVersion === row.primary_version;
    if (isPrimary) assertAllows(request.name, row.state, 'rotate');
    const version = isPrimary ? await rotate(keys.backend, tx, row, call.deadline) : row.primary_version;
    const instance = row.owner === null ? {} : { instanceUid: row.owner };
    call.annotate({ ...instance, attributes: { key: row.key_uid, version: String(version), ...(isPrimary ? {} : { replay: 'true' }) } });
    const made = await selectKeyVersion(tx, path, version);
    if (!made) throw notFound('root key', request.name);
    return toRootKeyVersion(made);
  });
  keys.events.made();
  return rotated;
};
