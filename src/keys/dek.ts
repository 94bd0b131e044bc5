// Data-encryption keys: made, wrapped by the primary version of a scope's key, and unwrapped by any living one. Pure, but for
// the random bytes.
//
// Wrapped DEK: format 0x02 ‖ version of the scope's key (u32, big endian) ‖ wrapped key (112, see wrap.ts). Context:
// `strongroom/dek/v2` 0x00 ‖ format ‖ version of the scope's key ‖ scope uid (16) ‖ instance uid (16) ‖ resource uid (16) ‖
// version (u32) ‖ length of the additional data (u32) ‖ additional data.
// Of format 0x01, which is only read: 0x01 ‖ wrapped key, by version 1. Context: `strongroom/dek/v1` 0x00 ‖ format ‖ scope uid ‖
// instance uid ‖ resource uid ‖ version.
import { randomBytes } from 'node:crypto';
import { AppError } from '../kernel/errors.ts';
import { scopeName } from './names.ts';
import { contextOf, KEY_BYTES, u32, unwrapKey, uuidBytes, wrapKey } from './wrap.ts';

const FORMAT_1 = 1;
const FORMAT_2 = 2;
const HEAD_BYTES = 5;
export const MAX_WRAPPED_DEK_BYTES = 512;
export const MAX_ADDITIONAL_BYTES = 1024;

/** What a DEK is for. */
export interface DekPlace {
  scopeUid: string;
  instanceUid: string;
  resourceUid: string;
  version: number;
  additionalData: Buffer;
}

/** The versions of a scope's key that live. */
export interface ScopeKey {
  /** The one that wraps, and the newest; a restore may have left it without a key. */
  readonly primary: number;
  readonly living: readonly { readonly version: number; readonly key: Buffer }[];
}

const fieldsOf = (place: DekPlace): Buffer[] => [
  uuidBytes(place.scopeUid),
  uuidBytes(place.instanceUid),
  uuidBytes(place.resourceUid),
  u32(place.version),
];
const context1 = (place: DekPlace): Buffer => contextOf('strongroom/dek/v1', Buffer.of(FORMAT_1), ...fieldsOf(place));
const context2 = (place: DekPlace, keyVersion: number): Buffer =>
  contextOf(
    'strongroom/dek/v2',
    Buffer.of(FORMAT_2),
    u32(keyVersion),
    ...fieldsOf(place),
    u32(place.additionalData.length),
    place.additionalData,
  );

/** Of the scope's key; 0 if it is no wrapped DEK. */
export const keyVersionOf = (wrappedDek: Buffer): number => {
  if (wrappedDek[0] === FORMAT_1) return 1;
  return wrappedDek[0] === FORMAT_2 && wrappedDek.length > HEAD_BYTES ? wrappedDek.readUInt32BE(1) : 0;
};

const keyOf = ({ living }: ScopeKey, version: number): Buffer | undefined => living.find((one) => one.version === version)?.key;

const versionDestroyed = ({ scopeUid }: DekPlace, version: number): AppError =>
  new AppError(
    'SCOPE_KEY_VERSION_DESTROYED',
    `version ${version} of the key of ${scopeName(scopeUid)} was destroyed, and what it wrapped is gone`,
    {
      metadata: { scope: scopeName(scopeUid), version: String(version) },
    },
  );

export const wrapDek = (scopeKey: ScopeKey, dek: Buffer, place: DekPlace, salt?: Buffer): Buffer => {
  const version = scopeKey.primary;
  const key = keyOf(scopeKey, version);
  if (!key) throw versionDestroyed(place, version);
  return Buffer.concat([Buffer.of(FORMAT_2), u32(version), wrapKey(key, dek, context2(place, version), salt)]);
};

export const generateDek = (scopeKey: ScopeKey, place: DekPlace): { dek: Buffer; wrappedDek: Buffer } => {
  const dek = randomBytes(KEY_BYTES);
  return { dek, wrappedDek: wrapDek(scopeKey, dek, place) };
};

const open = (key: Buffer, wrappedDek: Buffer, place: DekPlace, version: number): Buffer | undefined => {
  if (wrappedDek[0] === FORMAT_2) return unwrapKey(key, wrappedDek.subarray(HEAD_BYTES), context2(place, version));
  return place.additionalData.length === 0 ? unwrapKey(key, wrappedDek.subarray(1), context1(place)) : undefined;
};

export const unwrapDek = (scopeKey: ScopeKey, wrappedDek: Buffer, place: DekPlace): Buffer => {
  const version = keyVersionOf(wrappedDek);
  const key = keyOf(scopeKey, version);
  if (!key && version > 0 && version <= scopeKey.primary) throw versionDestroyed(place, version);
  const dek = key && open(key, wrappedDek, place, version);
  if (!dek)
    throw new AppError('CIPHERTEXT_INVALID', 'wrapped_dek does not open: it is damaged, of another scope, or its context is another', {
      metadata: { field: 'wrapped_dek' },
    });
  return dek;
};

/** With a fresh wrap, if the given one is of an old version or format and there is a primary version to wrap with. */
export const unwrapAndRenew = (scopeKey: ScopeKey, wrappedDek: Buffer, place: DekPlace): { dek: Buffer; wrappedDek: Buffer } => {
  const dek = unwrapDek(scopeKey, wrappedDek, place);
  const isNew = wrappedDek[0] === FORMAT_2 && keyVersionOf(wrappedDek) === scopeKey.primary;
  return { dek, wrappedDek: isNew || !keyOf(scopeKey, scopeKey.primary) ? Buffer.alloc(0) : wrapDek(scopeKey, dek, place) };
};
