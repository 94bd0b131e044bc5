// Signed notes (C2SP signed-note) with Ed25519: a text and lines of signatures that anybody's tool can check. Pure.
import { createPrivateKey, createPublicKey, hash, sign, verify, type KeyObject } from 'node:crypto';

const ED25519 = 0x01;
const DASH = '\u2014';
const NAME = '[^\\p{White_Space}+]+';
const ONLY_NAME = new RegExp(`^${NAME}$`, 'u');
const VERIFIER = new RegExp(`^(${NAME})\\+[0-9a-f]{8}\\+([A-Za-z0-9+/]+=*)$`, 'u');
const SIGNATURE_LINE = new RegExp(`^${DASH} (${NAME}) ([A-Za-z0-9+/]+=*)$`, 'u');
// The fixed beginning of a PKCS#8 Ed25519 private key and of an SPKI Ed25519 public key (RFC 8410); the key's 32 bytes follow.
const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');
const SPKI = Buffer.from('302a300506032b6570032100', 'hex');

export interface Verifier {
  readonly name: string;
  readonly keyId: Buffer;
  readonly publicKey: KeyObject;
  /** The key in text form: name, key id and key, joined by `+`. */
  readonly text: string;
}

export interface Signer {
  readonly verifier: Verifier;
  /** The signed note of a text that ends in a line feed. */
  sign(text: string): string;
}

const keyIdOf = (name: string, key: Buffer): Buffer =>
  hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519), key]), 'buffer').subarray(0, 4);

const verifierOf = (name: string, key: Buffer): Verifier => {
  const keyId = keyIdOf(name, key);
  return {
    name,
    keyId,
    publicKey: createPublicKey({ key: Buffer.concat([SPKI, key]), format: 'der', type: 'spki' }),
    text: `${name}+${keyId.toString('hex')}+${Buffer.concat([Buffer.of(ED25519), key]).toString('base64')}`,
  };
};

/** A signer from the 32-byte seed of RFC 8032. */
export const openSigner = (name: string, seed: Buffer): Signer => {
  if (!ONLY_NAME.test(name)) throw new Error(`the log's name must be without spaces and plus signs`);
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
  const verifier = verifierOf(name, publicKey);
  return {
    verifier,
    sign: (text) => {
      const signature = Buffer.concat([verifier.keyId, sign(null, Buffer.from(text), privateKey)]);
      return `${text}\n${DASH} ${name} ${signature.toString('base64')}\n`;
    },
  };
};

export const parseVerifier = (text: string): Verifier | undefined => {
  const match = VERIFIER.exec(text);
  const bytes = Buffer.from(match?.[2] ?? '', 'base64');
  if (!match?.[1] || bytes.length !== 33 || bytes[0] !== ED25519) return undefined;
  const verifier = verifierOf(match[1], bytes.subarray(1));
  return verifier.text === text ? verifier : undefined;
};

const MAX_SIGNATURES = 100;
// Control characters but the line feed.
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;

/** The text of a note that this verifier's key has signed; undefined for anything else. */
export const openNote = (note: string, verifier: Verifier): string | undefined => {
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || CONTROL.test(note) || !note.endsWith('\n') || !note.isWellFormed()) return undefined;
  const text = note.slice(0, end + 1);
  const lines = note.slice(end + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) return undefined;
  let verified = false;
  for (const line of lines) {
    const match = SIGNATURE_LINE.exec(line);
    const bytes = Buffer.from(match?.[2] ?? '', 'base64');
    if (!match || bytes.length < 5 || bytes.toString('base64') !== match[2]) return undefined;
    // A signature of somebody else says nothing; a bad one of ours condemns the note.
    if (match[1] !== verifier.name || !bytes.subarray(0, 4).equals(verifier.keyId)) continue;
    if (!verify(null, Buffer.from(text), verifier.publicKey, bytes.subarray(4))) return undefined;
    verified = true;
  }
  return verified ? text : undefined;
};
