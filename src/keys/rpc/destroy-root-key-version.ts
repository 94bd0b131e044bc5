import type { DestroyRootKeyVersionRequest, RootKeyVersion } from '../../gen/strongroom/keys/v1/key_version_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { inUse } from '../in-use.ts';
import type { Keys } from '../keys.ts';
import { toRootKeyVersion } from '../messages.ts';
import { destroy } from '../mutation.ts';
import { parseKeyVersion } from '../names.ts';
import { forgetVersion } from '../sql/renewal.ts';
import { lockRootKey, selectVersions } from '../sql/root-keys.ts';
import { selectKeyVersion } from '../sql/versions.ts';

/** The material goes first, the reference after it: whatever comes between, a repeated call ends the work. */
export const destroyRootKeyVersion = (keys: Keys, { name }: DestroyRootKeyVersionRequest, call: Call): Promise<RootKeyVersion> => {
  const path = parseKeyVersion(name);
  return destroy(keys, call, async (tx) => {
    // Nothing comes to be under any of its versions while it is held.
    await lockRootKey(tx, path);
    const row = await selectKeyVersion(tx, path, path.version);
    if (!row) throw notFound('root key version', name);
    const { key_uid: keyUid, version } = row;
    call.annotate({ attributes: { key: keyUid, version: String(version) } });
    if (row.destroy_time) return { reply: toRootKeyVersion(row), revoked: false };
    if (row.is_primary)
      throw new AppError('KEY_IN_USE', `${name} is the primary version; rotate the root key first`, { metadata: { resource: name } });
    if (row.scope_count > 0n) throw inUse(name, row.scope_count);
    const there = (await selectVersions(tx, keyUid)).find((v) => v.version === version);
    if (there) await keys.backend.destroy({ keyUid, ...there }, call.deadline);
    await forgetVersion(tx, keyUid, version);
    return { reply: toRootKeyVersion((await selectKeyVersion(tx, path, version)) ?? row), revoked: true };
  });
};
