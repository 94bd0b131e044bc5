// Data-encryption keys: made, wrapped by a scope's key and unwrapped. Pure, but for the random bytes.
//
// Wrapped DEK: format 0x01 ‖ wrapped key (112, see wrap.ts). Context: `strongroom/dek/v1` 0x00 ‖ format ‖ scope uid (16) ‖
// instance uid (16) ‖ resource uid (16) ‖ version (u32, big endian).
import { randomBytes } from 'node:crypto';
import { AppError } from '../kernel/errors.ts';
import { contextOf, KEY_BYTES, u32, unwrapKey, uuidBytes, wrapKey } from './wrap.ts';

const FORMAT = Buffer.of(1);
export const MAX_WRAPPED_DEK_BYTES = 512;

/** What a DEK is for. */
export interface DekPlace {
  scopeUid: string;
  instanceUid: string;
  resourceUid: string;
  version: number;
}

const contextOfDek = ({ scopeUid, instanceUid, resourceUid, version }: DekPlace): Buffer =>
  contextOf('strongroom/dek/v1', FORMAT, uuidBytes(scopeUid), uuidBytes(instanceUid), uuidBytes(resourceUid), u32(version));

export const wrapDek = (scopeKey: Buffer, dek: Buffer, place: DekPlace, salt?: Buffer): Buffer =>
  Buffer.concat([FORMAT, wrapKey(scopeKey, dek, contextOfDek(place), salt)]);

export const generateDek = (scopeKey: Buffer, place: DekPlace): { dek: Buffer; wrappedDek: Buffer } => {
  const dek = randomBytes(KEY_BYTES);
  return { dek, wrappedDek: wrapDek(scopeKey, dek, place) };
};

export const unwrapDek = (scopeKey: Buffer, wrappedDek: Buffer, place: DekPlace): Buffer => {
  const dek = wrappedDek[0] === FORMAT[0] ? unwrapKey(scopeKey, wrappedDek.subarray(1), contextOfDek(place)) : undefined;
  if (!dek)
    throw new AppError('CIPHERTEXT_INVALID', 'wrapped_dek does not open: it is damaged, of another scope, or its context is another', {
      metadata: { field: 'wrapped_dek' },
    });
  return dek;
};
