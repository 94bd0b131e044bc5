// Signed notes (C2SP signed-note): a text and lines of signatures that anybody's tool can check, and Ed25519, the kind of signature that
// every tool knows. Pure.
import { createPrivateKey, createPublicKey, hash, sign, verify } from 'node:crypto';

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
  /** The key in text form: name, key id, and type and key, joined by `+`. */
  readonly text: string;
  /** Whether this is the key's signature of the text: what a line has after the key id. */
  verifies(text: string, signature: Buffer): boolean;
}

export interface Signer {
  /** Of the key that signs first. */
  readonly verifier: Verifier;
  /** Of all keys that sign, and so of all that a note may be signed with. */
  readonly verifiers: readonly Verifier[];
  /** The signed note of a text that ends in a line feed. */
  sign(text: string): string;
}

export const isKeyName = (name: string): boolean => ONLY_NAME.test(name);

/** A verifier for keys of a type: how they verify, the rest is the same for all types. */
export const verifierOf = (name: string, type: number, key: Buffer, verifies: Verifier['verifies']): Verifier => {
  const typed = Buffer.concat([Buffer.of(type), key]);
  const keyId = hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), typed]), 'buffer').subarray(0, 4);
  return { name, keyId, text: `${name}+${keyId.toString('hex')}+${typed.toString('base64')}`, verifies };
};

export const ed25519PublicKey = (key: Buffer) => createPublicKey({ key: Buffer.concat([SPKI, key]), format: 'der', type: 'spki' });

const ed25519Verifier = (name: string, key: Buffer): Verifier => {
  const publicKey = ed25519PublicKey(key);
  return verifierOf(name, ED25519, key, (text, signature) => verify(null, Buffer.from(text), publicKey, signature));
};

export const signatureLine = ({ name, keyId }: Verifier, signature: Buffer): string =>
  `${DASH} ${name} ${Buffer.concat([keyId, signature]).toString('base64')}\n`;

const openKey = (name: string, seed: Buffer) => {
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8, seed]), format: 'der', type: 'pkcs8' });
  const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' }).subarray(SPKI.length);
  const verifier = ed25519Verifier(name, publicKey);
  return { verifier, line: (text: string) => signatureLine(verifier, sign(null, Buffer.from(text), privateKey)) };
};

/** A signer from the 32-byte seed of RFC 8032. While its key is rotated, the former key signs too, under the same name. */
export const openSigner = (name: string, seed: Buffer, former?: Buffer): Signer => {
  if (!isKeyName(name)) throw new Error(`the log's name must be without spaces and plus signs`);
  const key = openKey(name, seed);
  const keys = former ? [key, openKey(name, former)] : [key];
  return {
    verifier: key.verifier,
    verifiers: keys.map(({ verifier }) => verifier),
    sign: (text) => `${text}\n${keys.map(({ line }) => line(text)).join('')}`,
  };
};

/** The parts of a key in text form, if its id is that of the name and the key. */
export const splitVerifierKey = (text: string): { name: string; type: number; key: Buffer } | undefined => {
  const match = VERIFIER.exec(text);
  const bytes = Buffer.from(match?.[2] ?? '', 'base64');
  const [name, type] = [match?.[1], bytes[0]];
  if (name === undefined || type === undefined) return undefined;
  const key = bytes.subarray(1);
  return verifierOf(name, type, key, () => false).text === text ? { name, type, key } : undefined;
};

export const parseVerifier = (text: string): Verifier | undefined => {
  const parts = splitVerifierKey(text);
  return parts?.type === ED25519 && parts.key.length === 32 ? ed25519Verifier(parts.name, parts.key) : undefined;
};

const MAX_SIGNATURES = 100;
// Control characters but the line feed.
const CONTROL = /[\u0000-\u0009\u000b-\u001f]/;

export interface OpenNote {
  readonly text: string;
  /** The lines that known keys have signed, with their line feeds. */
  readonly verified: readonly { readonly verifier: Verifier; readonly line: string; readonly signature: Buffer }[];
}

/** A note and what known keys have signed of it; undefined if it is none, or if a signature of a known key is bad. */
export const readNote = (note: string, known: readonly Verifier[]): OpenNote | undefined => {
  const end = note.lastIndexOf('\n\n');
  if (end < 0 || CONTROL.test(note) || !note.endsWith('\n') || !note.isWellFormed()) return undefined;
  const text = note.slice(0, end + 1);
  const lines = note.slice(end + 2, -1).split('\n');
  if (lines.length > MAX_SIGNATURES) return undefined;
  const verified: OpenNote['verified'][number][] = [];
  for (const line of lines) {
    const match = SIGNATURE_LINE.exec(line);
    const bytes = Buffer.from(match?.[2] ?? '', 'base64');
    if (!match || bytes.length < 5 || bytes.toString('base64') !== match[2]) return undefined;
    // A signature of somebody else says nothing; a bad one of a known key condemns the note.
    const verifier = known.find(({ name, keyId }) => match[1] === name && bytes.subarray(0, 4).equals(keyId));
    if (!verifier) continue;
    const signature = bytes.subarray(4);
    if (!verifier.verifies(text, signature)) return undefined;
    verified.push({ verifier, line: `${line}\n`, signature });
  }
  return { text, verified };
};

/** The text of a note that a known key has signed; undefined for anything else. */
export const openNote = (note: string, known: Verifier | readonly Verifier[]): string | undefined => {
  const open = readNote(note, 'keyId' in known ? [known] : known);
  return open && open.verified.length > 0 ? open.text : undefined;
};
