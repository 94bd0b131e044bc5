// References of imported root keys. What wraps scope keys is not the material itself, which its owner has too and which lives
// on elsewhere, but a key derived from it and from a random pepper that is only here: once a pepper is destroyed, nothing
// that it helped to wrap opens again, whoever has the material. Pure, but for the random bytes.
//
// Reference: format 0x02 ‖ master key id (8) ‖ wrapped pepper (112) ‖ wrapped material (112; not there while it is expired).
// Context of each: `strongroom/pepper/v1` or `strongroom/material/v1`, 0x00 ‖ format ‖ master key id ‖ key uid (16) ‖ version (u32).
// Root key: HKDF-SHA-256 of the material, with the pepper as salt and `strongroom/imported/v1` 0x00 ‖ key uid ‖ version as info.
import { hkdfSync, randomBytes } from 'node:crypto';
import { AppError } from '../kernel/errors.ts';
import type { RootKeyVersion } from './backend.ts';
import { contextOf, KEY_BYTES, u32, unwrapKey, uuidBytes, WRAPPED_BYTES, wrapKey } from './wrap.ts';

const FORMAT = Buffer.of(2);
const ID_BYTES = 8;
const HEAD_BYTES = FORMAT.length + ID_BYTES;
const PEPPER_END = HEAD_BYTES + WRAPPED_BYTES;
const WHOLE_BYTES = PEPPER_END + WRAPPED_BYTES;

/** Lends a master key by its id, or the current one. */
export type UseMasterKey = <T>(masterId: Buffer, use: (masterKey: Buffer) => T) => T;

export interface Parts {
  pepper: Buffer;
  /** Undefined while it is expired. */
  material: Buffer | undefined;
}

export const isImported = (ref: Buffer): boolean => ref[0] === FORMAT[0];

const contextIn = (label: 'pepper' | 'material', masterId: Buffer, { keyUid, version }: RootKeyVersion): Buffer =>
  contextOf(`strongroom/${label}/v1`, FORMAT, masterId, uuidBytes(keyUid), u32(version));

export const newPepper = (): Buffer => randomBytes(KEY_BYTES);

export const sealParts = (use: UseMasterKey, masterId: Buffer, key: RootKeyVersion, { pepper, material }: Parts): Buffer =>
  use(masterId, (masterKey) => {
    const wrap = (label: 'pepper' | 'material', plain: Buffer) => wrapKey(masterKey, plain, contextIn(label, masterId, key));
    return Buffer.concat([FORMAT, masterId, wrap('pepper', pepper), ...(material ? [wrap('material', material)] : [])]);
  });

const corrupted = (): AppError => new AppError('DATA_CORRUPTED', 'an imported root key does not open: it is not what was written');

/** Lends the plain parts to `work`, and wipes them after it. */
export const withParts = <T>(use: UseMasterKey, key: RootKeyVersion, ref: Buffer, work: (parts: Parts) => T): T => {
  if (!isImported(ref) || (ref.length !== PEPPER_END && ref.length !== WHOLE_BYTES)) throw corrupted();
  const masterId = ref.subarray(FORMAT.length, HEAD_BYTES);
  const parts = use(masterId, (masterKey): Parts => {
    const unwrap = (label: 'pepper' | 'material', wrapped: Buffer) => unwrapKey(masterKey, wrapped, contextIn(label, masterId, key));
    const pepper = unwrap('pepper', ref.subarray(HEAD_BYTES, PEPPER_END));
    const material = ref.length === WHOLE_BYTES ? unwrap('material', ref.subarray(PEPPER_END)) : undefined;
    if (pepper && (material || ref.length === PEPPER_END)) return { pepper, material };
    pepper?.fill(0);
    material?.fill(0);
    throw corrupted();
  });
  try {
    return work(parts);
  } finally {
    parts.pepper.fill(0);
    parts.material?.fill(0);
  }
};

/** What is left of a reference when its material is forgotten. */
export const pepperOnly = (ref: Buffer): Buffer => ref.subarray(0, PEPPER_END);

/** `name` is the root key's, where it is known. */
export const materialExpired = (name?: string): AppError =>
  new AppError(
    'KEY_MATERIAL_EXPIRED',
    'the material of the imported root key has expired; its owner can bring it back by ReimportMaterial',
    name === undefined ? {} : { metadata: { resource: name } },
  );

/** The key that wraps scope keys; to be wiped by the caller. */
export const deriveRootKey = ({ keyUid, version }: RootKeyVersion, { pepper, material }: Parts): Buffer => {
  if (!material) throw materialExpired();
  return Buffer.from(hkdfSync('sha256', material, pepper, contextOf('strongroom/imported/v1', uuidBytes(keyUid), u32(version)), KEY_BYTES));
};
