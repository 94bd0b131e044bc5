import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkpointText } from '../../src/audit/checkpoint.ts';
import { append, EMPTY, leafHash, rootOf } from '../../src/audit/merkle.ts';
import { openNote, openSigner, parseVerifier } from '../../src/audit/note.ts';

const vector = (name: string): unknown => JSON.parse(readFileSync(new URL(`../vectors/audit/${name}.json`, import.meta.url), 'utf8'));
const example = vector('c2sp-examples') as { verifier: string; note: string };
const tessera = vector('tessera-log') as { verifier: string; publishedTestSeed: string; entries: string[]; checkpoints: string[] };

const signer = openSigner('log.example/one', Buffer.alloc(32, 7));
const { verifier } = signer;
const note = signer.sign('first\n\nsecond\n');
/** The signature line of a note. */
const lineOf = (text: string): string => text.slice(text.lastIndexOf('\n\n') + 2);

describe('signed notes', () => {
  it('of the specification open with the verifier key of the specification', () => {
    const key = parseVerifier(example.verifier)!;
    expect(key.keyId.toString('hex')).toBe('530d903a');
    expect(openNote(example.note, key)).toBe('This is an example message.\n');
  });

  it('of Tessera’s test log come out byte for byte: key id, all roots and signatures of sizes 0 to 15', () => {
    const log = openSigner('example.com/log/testdata', Buffer.from(tessera.publishedTestSeed, 'hex'));
    expect(log.verifier.text).toBe(tessera.verifier);
    expect(log.verifier.keyId.toString('hex')).toBe('33d7b496');
    let tree = EMPTY;
    for (const [size, published] of tessera.checkpoints.entries()) {
      expect(log.sign(checkpointText({ origin: 'example.com/log/testdata', size: tree.size, root: rootOf(tree) })), `size ${size}`).toBe(
        published,
      );
      tree = append(tree, leafHash(Buffer.from(tessera.entries[size] ?? '')));
    }
  });

  it('keep blank lines of their text: the last one ends it', () => {
    expect(openNote(note, verifier)).toBe('first\n\nsecond\n');
  });

  it.each([
    ['a changed text', note.replace('first', 'First')],
    ['a text without its last line', note.replace('second\n', '')],
    ['a carriage return', note.replaceAll('\n', '\r\n')],
    ['a tab', signer.sign('a\tb\n')],
    ['a NUL', signer.sign('a\u0000b\n')],
    ['half a character', signer.sign('a\ud800b\n')],
    ['no line feed at its end', note.slice(0, -1)],
    ['a line after the signatures', `${note}more\n`],
    ['a blank line after the signatures', `${note}\n`],
    ['no signature', 'first\n\n'],
    ['no blank line', `first\n${lineOf(note)}`],
    ['a hyphen for the dash', note.replace('\u2014', '-')],
    ['a signature without its padding', note.replace(/=+\n$/, '\n')],
    ['two spaces before the signature', note.replace(' log.example/one ', ' log.example/one  ')],
    ['a signature too short for a key id', `${note}\u2014 x ${Buffer.alloc(4).toString('base64')}\n`],
    ['nothing', ''],
  ])('with %s are refused', (_, bad) => {
    expect(openNote(bad, verifier)).toBeUndefined();
  });

  it('are refused without a signature of the known key, also if another key shares its name or its id', () => {
    const sameName = openSigner(verifier.name, Buffer.alloc(32, 8));
    expect(openNote(sameName.sign('first\n'), verifier)).toBeUndefined();
    const sameId = Buffer.concat([verifier.keyId, randomBytes(64)]).toString('base64');
    expect(openNote(`first\n\n\u2014 other.example ${sameId}\n`, verifier)).toBeUndefined();
  });

  it('open with foreign signatures beside ours, before and after it, and with one of our next key under the same name', () => {
    const foreign = lineOf(openSigner('witness.example', randomBytes(32)).sign('first\n\nsecond\n'));
    const next = lineOf(openSigner(verifier.name, Buffer.alloc(32, 8)).sign('first\n\nsecond\n'));
    expect(openNote(note.replace(lineOf(note), foreign + next + lineOf(note) + foreign), verifier)).toBe('first\n\nsecond\n');
  });

  it('are refused whole if a second signature of our key is bad', () => {
    const bad = Buffer.concat([verifier.keyId, randomBytes(64)]).toString('base64');
    expect(openNote(`${note}\u2014 ${verifier.name} ${bad}\n`, verifier)).toBeUndefined();
  });

  it('may have 100 signatures, and not one more', () => {
    const foreign = (n: number) =>
      Array.from({ length: n }, (_, i) => `\u2014 w${i}.example ${randomBytes(68).toString('base64')}\n`).join('');
    expect(openNote(note + foreign(99), verifier)).toBe('first\n\nsecond\n');
    expect(openNote(note + foreign(100), verifier)).toBeUndefined();
  });
});

describe('verifier keys', () => {
  it('carry the first four bytes of SHA-256 of name, line feed, type and key, and come back from their text', () => {
    const again = parseVerifier(verifier.text)!;
    expect(again.keyId).toEqual(verifier.keyId);
    expect(openNote(note, again)).toBe('first\n\nsecond\n');
    expect(openSigner('log.example/two', Buffer.alloc(32, 7)).verifier.keyId).not.toEqual(verifier.keyId);
  });

  it('come from a seed as RFC 8032 has it: its test 1', () => {
    const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
    const key = Buffer.from(openSigner('rfc8032.example', seed).verifier.text.split('+').slice(2).join('+'), 'base64');
    expect(key.toString('hex')).toBe('01d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a');
  });

  const [name = '', id = ''] = verifier.text.split('+');
  // The key's own base64 may have a plus.
  const key = verifier.text.slice(name.length + id.length + 2);
  it.each([
    ['another key id', `${name}+00000000+${key}`],
    ['a key id in upper case', `${name}+${id.toUpperCase()}+${key}`],
    ['another name', `log.example/two+${id}+${key}`],
    [
      'another type of signature',
      `${name}+${id}+${Buffer.concat([Buffer.of(4), Buffer.from(key, 'base64').subarray(1)]).toString('base64')}`,
    ],
    ['a key too short', `${name}+${id}+${Buffer.from(key, 'base64').subarray(0, 32).toString('base64')}`],
    ['padding that does not belong there', `${verifier.text}=`],
    ['a space in the name', `log example+${id}+${key}`],
    ['nothing after the name', name],
  ])('with %s are refused', (_, text) => {
    expect(parseVerifier(text)).toBeUndefined();
  });

  it.each(['', 'with space', 'with+plus', 'with\u0085next-line', 'with\u2003wide-space'])('are not made for the name "%s"', (bad) => {
    expect(() => openSigner(bad, Buffer.alloc(32))).toThrow('without spaces');
  });
});
