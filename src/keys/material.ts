// A customer's key material on its way in: opened, proved, judged. Pure, but for the random bytes.
//
// Wrapped material (552 bytes, as PKCS#11 has it in CKM_RSA_AES_KEY_WRAP): RSA-OAEP (SHA-256, MGF1-SHA-256, empty label) of a
// fresh AES-256 key under RSA-4096 (512) ‖ AES-KWP (RFC 5649) of the 32 bytes of material under that key (40).
import {
  constants,
  createDecipheriv,
  createHmac,
  generateKeyPair,
  hash,
  privateDecrypt,
  randomBytes,
  timingSafeEqual,
  type KeyObject,
} from 'node:crypto';
import { promisify } from 'node:util';
import { AppError } from '../kernel/errors.ts';
import { KEY_BYTES } from './wrap.ts';

const RSA_BITS = 4096;
const RSA_BYTES = RSA_BITS / 8;
const WRAPPED_MATERIAL_BYTES = RSA_BYTES + KEY_BYTES + 8;
const KWP_IV = Buffer.from('a65959a6', 'hex');
const LEAST_DISTINCT_BYTES = 16;

/** Material as it arrives. */
export interface Offer {
  readonly wrappedMaterial: Buffer;
  readonly proof: Buffer;
  /** What the proof is made over. */
  readonly message: Buffer;
}

export const newRsaPair = (): Promise<{ publicKey: KeyObject; privateKey: KeyObject }> =>
  promisify(generateKeyPair)('rsa', { modulusLength: RSA_BITS, publicExponent: 0x10001 });

export const newNonce = (): Buffer => randomBytes(32);

/** What the proof of possession is made over: it is good for one job only. */
export const proofMessage = (jobName: string, nonce: Buffer): Buffer =>
  Buffer.concat([Buffer.from(`strongroom/import-proof/v1\0${jobName}\0`, 'latin1'), nonce]);

/** Tells whether two keys are of the same material. Of 256 random bits it gives nothing away. */
export const checkValueOf = (material: Buffer): Buffer => createHmac('sha256', material).update('strongroom/check-value/v1').digest();

/** By which the same call is known when it is repeated. */
export const digestOfOffer = ({ wrappedMaterial, proof }: Offer): Buffer =>
  hash('sha256', Buffer.concat([hash('sha256', wrappedMaterial, 'buffer'), proof]), 'buffer');

const rejected = (): AppError =>
  new AppError(
    'IMPORT_REJECTED',
    'the material was not taken, and the job has one attempt less: wrapped_material does not open with the key of this job to 32 bytes, or proof is not theirs; wrap them again as docs/import.md says',
    { metadata: { field: 'wrapped_material' } },
  );

/** What `open` gives, or 32 random bytes: whatever is wrong is found by the proof alone, and looks the same from outside. */
const orRandom = (open: () => Buffer): Buffer => {
  let opened: Buffer | undefined;
  try {
    opened = open();
  } catch {
    // Said by the proof.
  }
  if (opened?.length === KEY_BYTES) return opened;
  opened?.fill(0);
  return randomBytes(KEY_BYTES);
};

const unwrapMaterial = (privateKey: KeyObject, wrapped: Buffer): Buffer => {
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const kek = orRandom(() => privateDecrypt({ key: privateKey, padding, oaepHash: 'sha256' }, wrapped.subarray(0, RSA_BYTES)));
  try {
    return orRandom(() => {
      if (wrapped.length !== WRAPPED_MATERIAL_BYTES) throw rejected();
      const decipher = createDecipheriv('id-aes256-wrap-pad', kek, KWP_IV);
      return Buffer.concat([decipher.update(wrapped.subarray(RSA_BYTES)), decipher.final()]);
    });
  } finally {
    kek.fill(0);
  }
};

/** Throws IMPORT_REJECTED, the same whatever is wrong. */
export const openOffer = (privateKey: KeyObject, { wrappedMaterial, proof, message }: Offer): Buffer => {
  const material = unwrapMaterial(privateKey, wrappedMaterial);
  const expected = createHmac('sha256', material).update(message).digest();
  if (proof.length === expected.length && timingSafeEqual(proof, expected)) return material;
  material.fill(0);
  throw rejected();
};

/** Throws for what nobody has drawn at random. */
export const assertStrong = (material: Buffer): void => {
  const half = material.length / 2;
  const isRepeated = material.subarray(0, half).equals(material.subarray(half));
  if (new Set(material).size >= LEAST_DISTINCT_BYTES && !isRepeated) return;
  throw new AppError(
    'WEAK_KEY_MATERIAL',
    `the material is not random: it has fewer than ${LEAST_DISTINCT_BYTES} different bytes, or its halves are the same; draw another 32 bytes`,
    { metadata: { field: 'wrapped_material' } },
  );
};
