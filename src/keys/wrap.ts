// Wraps a key under another one, with a key of its own for each wrap, so that there is no nonce to repeat and no
// budget to count, and with a commitment, so that a wrapped key opens under one key only. Pure.
//
// Wrapped key: salt (32) ‖ commitment (32) ‖ ciphertext (as long as the key) ‖ tag (16); 112 bytes for a key of 32.
// HKDF-SHA-256 (RFC 5869) of the wrapping key, with the salt and the context as info, gives 64 bytes: the one-time key of
// AES-256-GCM (SP 800-38D; IV of zeros, the context as additional data) and the commitment.
import { createCipheriv, createDecipheriv, randomBytes, timingSafeEqual } from 'node:crypto';
import { hmacSha256 } from './hmac.ts';

export const KEY_BYTES = 32;
export const WRAPPED_BYTES = 112;
const SALT_BYTES = 32;
const TAG_BYTES = 16;
const IV = Buffer.alloc(12);
const [FIRST, SECOND] = [Buffer.of(1), Buffer.of(2)];

/** What a wrapped key is for: a label, then fields of fixed length; one of another length comes last, behind its length. */
export const contextOf = (label: string, ...fields: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from(label, 'latin1'), Buffer.of(0), ...fields]);

export const uuidBytes = (uuid: string): Buffer => Buffer.from(uuid.replaceAll('-', ''), 'hex');

export const u32 = (number: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
};

/** HKDF from its two steps: the library's own takes no info above 1 KiB. */
const derive = (kek: Buffer, salt: Buffer, context: Buffer) => {
  const prk = hmacSha256(salt, kek);
  const key = hmacSha256(prk, context, FIRST);
  const commitment = hmacSha256(prk, key, context, SECOND);
  prk.fill(0);
  return { key, commitment };
};

export const wrapKey = (kek: Buffer, plain: Buffer, context: Buffer, salt: Buffer = randomBytes(SALT_BYTES)): Buffer => {
  const { key, commitment } = derive(kek, salt, context);
  const cipher = createCipheriv('aes-256-gcm', key, IV).setAAD(context);
  const wrapped = Buffer.concat([salt, commitment, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  return wrapped;
};

/** Undefined for anything that is no 32-byte key wrapped so: damaged, another key, another context. */
export const unwrapKey = (kek: Buffer, wrapped: Buffer, context: Buffer): Buffer | undefined =>
  wrapped.length === WRAPPED_BYTES ? unwrapLong(kek, wrapped, context) : undefined;

/** The same for a key of any length, such as a private one. */
export const unwrapLong = (kek: Buffer, wrapped: Buffer, context: Buffer): Buffer | undefined => {
  if (wrapped.length <= SALT_BYTES + KEY_BYTES + TAG_BYTES) return undefined;
  const { key, commitment } = derive(kek, wrapped.subarray(0, SALT_BYTES), context);
  try {
    if (!timingSafeEqual(commitment, wrapped.subarray(SALT_BYTES, SALT_BYTES + KEY_BYTES))) return undefined;
    const decipher = createDecipheriv('aes-256-gcm', key, IV, { authTagLength: TAG_BYTES }).setAAD(context);
    decipher.setAuthTag(wrapped.subarray(-TAG_BYTES));
    const plain = decipher.update(wrapped.subarray(SALT_BYTES + KEY_BYTES, -TAG_BYTES));
    decipher.final();
    return plain;
  } catch {
    return undefined;
  } finally {
    key.fill(0);
  }
};
