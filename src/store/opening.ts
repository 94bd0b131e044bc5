// What one access and many have in common: a version that was asked for, found and allowed to be opened, with the facts of its entry
// and the answer.
import type { AccessSecretVersionRequest, AccessSecretVersionResponse } from '../gen/strongroom/secrets/v1/secret_access_service.ts';
import { notFound } from '../kernel/errors.ts';
import type { EntryDraft } from '../kernel/table.ts';
import type { Place, Sealed } from './envelope.ts';
import { assertUnexpired } from './expiration.ts';
import { assertAbove } from './load.ts';
import { groupName, parseVersion, secretName, versionName } from './names.ts';
import { corrupted, parseIfNoneMatch, payloadEtag, toPayload } from './payload.ts';
import type { Asked, StoredVersion } from './sql/secret-versions.ts';
import { assertActive, assertReadable } from './state.ts';
import type { Kind } from './types/type.ts';

export const parseAsked = ({ name, ifNoneMatch }: AccessSecretVersionRequest): Asked => ({
  path: parseVersion(name),
  known: parseIfNoneMatch(ifNoneMatch, 'if_none_match'),
});

/** May be opened, as far as this service knows. */
export interface Readable {
  readonly name: string;
  readonly group: string;
  readonly instanceUid: string;
  readonly secretUid: string;
  readonly etag: string;
  readonly kind: Kind;
  readonly crc32c: bigint;
  /** Undefined if the caller has the payload. */
  readonly opening: { readonly place: Place; readonly sealed: Sealed } | undefined;
  readonly draft: EntryDraft;
}

export const assertFound = <Stored extends StoredVersion>({ path }: Asked, stored: Stored | undefined): Stored => {
  if (!stored) throw notFound('secret', secretName(path));
  return stored;
};

/** Throws if its state, or that of anything above it, does not let it be opened. */
export const toReadable = ({ path }: Asked, stored: StoredVersion): Readable => {
  assertAbove(path, stored);
  assertUnexpired(secretName(path), stored.is_secret_expired ?? false);
  assertActive(secretName(path), stored.secret_state);
  const { version, instance_uid: instanceUid, group_uid: groupUid, secret_uid: secretUid } = stored;
  if (version === null) throw notFound('version', versionName(path, path.version));
  const name = versionName(path, version);
  assertUnexpired(name, stored.is_expired ?? false);
  assertReadable(name, stored.state);
  const { wrapped_dek: wrappedDek, sealed, is_known: isKnown, kind, crc32c } = stored;
  if (!isKnown && !(wrappedDek && sealed)) throw corrupted();
  return {
    name,
    group: groupName(path),
    instanceUid,
    secretUid,
    etag: payloadEtag(secretUid, version),
    kind,
    crc32c,
    opening: wrappedDek && sealed ? { place: { instanceUid, groupUid, secretUid, version }, sealed: { wrappedDek, sealed } } : undefined,
    draft: { resource: name, instanceUid, attributes: { version: String(version), ...(isKnown ? { notModified: 'true' } : {}) } },
  };
};

/** With the payload, if there was one to open. */
export const toResponse = ({ name, etag, kind, crc32c }: Readable, bytes: Buffer | undefined): AccessSecretVersionResponse => ({
  name,
  etag,
  payload: bytes && toPayload(kind, bytes, crc32c),
  notModified: bytes === undefined,
});
