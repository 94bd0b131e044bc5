// Values that are opened for the store itself, and never answered: to be copied, compared with, or taken over from. Each is wiped by who asked for it.
import { timingSafeEqual } from 'node:crypto';
import { AppError, notFound } from '../kernel/errors.ts';
import type { Caller } from './envelope.ts';
import { assertUnexpired } from './expiration.ts';
import { Overtaken } from './key-version.ts';
import { pathOf } from './messages.ts';
import { versionName } from './names.ts';
import { checksum, corrupted, type Value } from './payload.ts';
import { selectStored, type StoredVersion } from './sql/secret-versions.ts';
import type { SecretRow } from './sql/secrets.ts';
import { assertReadable } from './state.ts';
import type { Store } from './store.ts';

type Opener = Pick<Store, 'db' | 'envelope'>;

const open = async ({ envelope }: Opener, stored: StoredVersion, version: number, caller: Caller): Promise<Buffer> => {
  const { wrapped_dek: wrappedDek, sealed } = stored;
  if (!wrappedDek || !sealed) throw corrupted();
  const place = { instanceUid: stored.instance_uid, groupUid: stored.group_uid, secretUid: stored.secret_uid, version };
  const bytes = await envelope.open(place, { wrappedDek, sealed }, caller).catch((error: unknown) => {
    // The group's key was replaced after the row was read: now the row has a fresh wrap.
    throw error instanceof AppError && error.reason === 'SCOPE_KEY_VERSION_DESTROYED'
      ? new Overtaken('the key of the group was replaced')
      : error;
  });
  if (BigInt(checksum(bytes)) === stored.crc32c) return bytes;
  bytes.fill(0);
  throw corrupted();
};

/** With what was known of it when it came in. Throws if the version cannot be read. */
export const openValue = async (opener: Opener, secret: SecretRow, version: number, caller: Caller): Promise<Value> => {
  const path = { ...pathOf(secret), version };
  const stored = await selectStored(opener.db.read, { path, known: undefined });
  const name = versionName(path, version);
  if (!stored || stored.version === null) throw notFound('version', name);
  assertUnexpired(name, stored.is_expired ?? false);
  assertReadable(name, stored.state);
  const bytes = await open(opener, stored, version, caller);
  const { kind, details, crc32c, client_specified_crc32c: clientSpecifiedCrc32c } = stored;
  return { kind, bytes, ...(details && { details }), crc32c: Number(crc32c), clientSpecifiedCrc32c };
};

/**
 * Whether the newest version is enabled and has this value. The bytes are compared in constant time, and only if their checksums, which
 * are metadata, do not tell already.
 */
export const isNewest = async (opener: Opener, secret: SecretRow, value: Value, caller: Caller): Promise<boolean> => {
  const { latest_version: version } = secret;
  const stored = await selectStored(opener.db.read, { path: { ...pathOf(secret), version }, known: undefined });
  if (stored?.state !== 'ENABLED' || stored.is_expired || stored.kind !== value.kind || stored.crc32c !== BigInt(value.crc32c))
    return false;
  const bytes = await open(opener, stored, version, caller);
  try {
    return bytes.length === value.bytes.length && timingSafeEqual(bytes, value.bytes);
  } finally {
    bytes.fill(0);
  }
};
