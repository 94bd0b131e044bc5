import type { AccessSecretVersionRequest, AccessSecretVersionResponse } from '../../gen/strongroom/secrets/v1/secret_access_service.ts';
import { AppError, notFound } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import { assertUnexpired } from '../expiration.ts';
import { assertAbove } from '../load.ts';
import { parseVersion, secretName, versionName, type VersionPath } from '../names.ts';
import { corrupted, toPayload } from '../payload.ts';
import { selectStored, type StoredVersion } from '../sql/secret-versions.ts';
import { assertActive, assertReadable } from '../state.ts';
import type { Store } from '../store.ts';

/** When the group's key is replaced, its old version may be destroyed after the row was read: then the row has a fresh wrap. */
export const accessSecretVersion = (
  store: Store,
  request: AccessSecretVersionRequest,
  call: Call,
): Promise<AccessSecretVersionResponse> => {
  const path = parseVersion(request.name);
  return open(store, path, call).catch((error: unknown) => {
    if (error instanceof AppError && error.reason === 'SCOPE_KEY_VERSION_DESTROYED') return open(store, path, call);
    throw error;
  });
};

const open = async (store: Store, path: VersionPath, call: Call): Promise<AccessSecretVersionResponse> => {
  const stored = await selectStored(store.db.read, path);
  if (!stored) throw notFound('secret', secretName(path));
  const version = assertOpenable(path, stored);
  const name = versionName(path, version);
  call.annotate({ resource: name, instanceUid: stored.instance_uid, attributes: { version: String(version) } });

  const { wrapped_dek: wrappedDek, sealed } = stored;
  if (!wrappedDek || !sealed) throw corrupted();
  const place = { instanceUid: stored.instance_uid, groupUid: stored.group_uid, secretUid: stored.secret_uid, version };
  const bytes = await store.envelope.open(place, { wrappedDek, sealed }, call);
  return { name, payload: toPayload(stored.kind, bytes, stored.crc32c) };
};

/** The version's number, if its state and everything above it let it be opened. */
const assertOpenable = (path: VersionPath, stored: StoredVersion): number => {
  assertAbove(path, stored);
  assertUnexpired(secretName(path), stored.is_secret_expired ?? false);
  assertActive(secretName(path), stored.secret_state);
  if (stored.version === null) throw notFound('version', versionName(path, path.version));
  assertUnexpired(versionName(path, stored.version), stored.is_expired ?? false);
  assertReadable(versionName(path, stored.version), stored.state);
  return stored.version;
};
