// Timestamped signatures of checkpoints (C2SP tlog-cosignature): Ed25519, as most witnesses sign, and ML-DSA-44 (FIPS 204), as witnesses
// and the log itself may, against the day on which Ed25519 is broken. Pure.
import { createPrivateKey, createPublicKey, sign, verify } from 'node:crypto';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { ed25519PublicKey, signatureLine, splitVerifierKey, verifierOf, type Verifier } from './note.ts';

const COSIGNATURE_ED25519 = 0x04;
const COSIGNATURE_ML_DSA_44 = 0x06;
const ML_DSA_KEY_BYTES = 1_312;
const TIME_BYTES = 8;
// The fixed beginning of a PKCS#8 ML-DSA-44 private key from a seed and of an SPKI public key (RFC 9881).
const PKCS8 = Buffer.from('3034020100300b060960864801650304031104228020', 'hex');
const SPKI = Buffer.from('30820532300b06096086480165030403110382052100', 'hex');

const uint64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
};
const short = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
};

const isShort = (text: string): boolean => Buffer.byteLength(text) <= 255;

/** The struct `cosigned_message` for a whole checkpoint; names have at most 255 bytes. */
const mlDsaMessage = (cosigner: string, time: bigint, { origin, size, root }: Checkpoint): Buffer =>
  Buffer.concat([Buffer.from('subtree/v1\n\0'), short(cosigner), uint64(time), short(origin), uint64(0n), uint64(size), root]);

/** When a cosigner signed, in seconds since 1970; 0 if he does not say. */
export const cosignedAt = (signature: Buffer): bigint => (signature.length > TIME_BYTES ? signature.readBigUInt64BE() : 0n);

const timed = (verifies: (text: string, time: bigint, signature: Buffer) => boolean): Verifier['verifies'] => {
  return (text, signature) => signature.length > TIME_BYTES && verifies(text, cosignedAt(signature), signature.subarray(TIME_BYTES));
};

const ed25519Cosigner = (name: string, key: Buffer): Verifier => {
  const publicKey = ed25519PublicKey(key);
  return verifierOf(
    name,
    COSIGNATURE_ED25519,
    key,
    timed((text, time, signature) => verify(null, Buffer.from(`cosignature/v1\ntime ${time}\n${text}`), publicKey, signature)),
  );
};

const mlDsaCosigner = (name: string, key: Buffer): Verifier => {
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI, key]), format: 'der', type: 'spki' });
  return verifierOf(
    name,
    COSIGNATURE_ML_DSA_44,
    key,
    timed((text, time, signature) => {
      const checkpoint = parseCheckpoint(text);
      return (
        checkpoint !== undefined && isShort(checkpoint.origin) && verify(null, mlDsaMessage(name, time, checkpoint), publicKey, signature)
      );
    }),
  );
};

/** The key of a cosigner from its text form. */
export const parseCosigner = (text: string): Verifier | undefined => {
  const { name = '', type, key = Buffer.alloc(0) } = splitVerifierKey(text) ?? {};
  if (type === COSIGNATURE_ED25519 && key.length === 32) return ed25519Cosigner(name, key);
  return type === COSIGNATURE_ML_DSA_44 && key.length === ML_DSA_KEY_BYTES && isShort(name) ? mlDsaCosigner(name, key) : undefined;
};

export interface Cosigner {
  readonly verifier: Verifier;
  /** The line for a checkpoint at a time in seconds since 1970; 0 says nothing about there being a larger one. */
  readonly line: (checkpoint: Checkpoint, time: bigint) => string;
}

/** An ML-DSA-44 cosigner from the 32-byte seed of FIPS 204. */
export const openMlDsaCosigner = (name: string, seed: Buffer): Cosigner => {
  if (!isShort(name)) throw new Error(`the log's name must have at most 255 bytes to sign with ML-DSA-44`);
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  const verifier = mlDsaCosigner(name, createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI.length));
  return {
    verifier,
    line: (checkpoint, time) =>
      signatureLine(verifier, Buffer.concat([uint64(time), sign(null, mlDsaMessage(name, time, checkpoint), privateKey)])),
  };
};
