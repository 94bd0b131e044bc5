import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkpointText } from '../../src/audit/checkpoint.ts';
import { cosignedAt, openMlDsaCosigner, parseCosigner } from '../../src/audit/cosignature.ts';
import { EMPTY_ROOT } from '../../src/audit/merkle.ts';
import { openNote, openSigner, parseVerifier, readNote } from '../../src/audit/note.ts';
import { policyText } from '../../src/audit/policy.ts';
import { openPublication } from '../../src/audit/publication.ts';

const published = JSON.parse(readFileSync(new URL('../vectors/audit/ml-dsa-44.json', import.meta.url), 'utf8')) as {
  verifier: string;
  note: string;
};
const origin = 'log.example/one';
const checkpoint = { origin, size: 0n, root: EMPTY_ROOT };
const cosigner = openMlDsaCosigner(origin, Buffer.alloc(32, 1));
const signer = openSigner(origin, Buffer.alloc(32, 7));
const note = signer.sign(checkpointText(checkpoint)) + cosigner.line(checkpoint, 1_700_000_000n);

describe('a cosignature with ML-DSA-44', () => {
  it('that Go has made is verified, and not if the checkpoint says anything else', () => {
    const verifier = parseCosigner(published.verifier)!;
    expect(openNote(published.note, verifier)).toBe('test.example/log\n600\n5SxBH2bkKyCLc/xupsfOZtO9do/fT5dRolvC+wgzClo=\n');
    for (const [from, to] of [
      ['test.example', 'best.example'],
      ['\n600\n', '\n601\n'],
      ['5SxB', '5SxC'],
    ] as const)
      expect(openNote(published.note.replace(from, to), verifier)).toBeUndefined();
  });

  it('stands beside that of Ed25519: who knows either key, or both, opens the note', () => {
    const text = checkpointText(checkpoint);
    for (const known of [[signer.verifier], [cosigner.verifier], [signer.verifier, cosigner.verifier]])
      expect(openNote(note, known)).toBe(text);
    const { verified } = readNote(note, [cosigner.verifier])!;
    expect([verified.length, cosignedAt(verified[0]!.signature)]).toEqual([1, 1_700_000_000n]);
  });

  it('covers its time and the name of who signs', () => {
    const later = note.replace(/(\S+)\n$/, (_, line: string) => {
      const bytes = Buffer.from(line, 'base64');
      bytes[11]! ^= 1;
      return `${bytes.toString('base64')}\n`;
    });
    expect(openNote(later, cosigner.verifier)).toBeUndefined();
    expect(openNote(later, signer.verifier)).toBeDefined();
    const other = openMlDsaCosigner('log.example/two', Buffer.alloc(32, 1));
    const stolen = cosigner.line(checkpoint, 1n).replace(/ \S+\n$/, ` ${other.line(checkpoint, 1n).split(' ')[2]}`);
    expect(openNote(`${checkpointText(checkpoint)}\n${stolen}`, cosigner.verifier)).toBeUndefined();
  });

  it('has a key in text form that comes back, as one of a cosigner and not of a log', () => {
    expect(parseCosigner(cosigner.verifier.text)?.text).toBe(cosigner.verifier.text);
    expect(parseVerifier(cosigner.verifier.text)).toBeUndefined();
    expect(parseCosigner(signer.verifier.text)).toBeUndefined();
    expect(parseCosigner(`${cosigner.verifier.text.slice(0, -8)}AAAAAAAA`)).toBeUndefined();
  });
});

describe('the rotation of the signing key', () => {
  const next = openSigner(origin, Buffer.alloc(32, 8), Buffer.alloc(32, 7));
  const rotated = next.sign(checkpointText(checkpoint));

  it('has both keys sign under one name: who knows one of them opens the note, and so does the log itself', () => {
    expect(rotated.match(/^\u2014 log\.example\/one /gm)).toHaveLength(2);
    for (const known of [signer.verifiers, [next.verifier], next.verifiers])
      expect(openNote(rotated, known)).toBe(checkpointText(checkpoint));
    expect(next.verifier.text).not.toBe(signer.verifier.text);
  });

  it('opens what only the former key has signed, and condemns a note with a bad line of either', () => {
    expect(openNote(signer.sign('text\n'), next.verifiers)).toBe('text\n');
    const [, first = '', second = ''] = /\n\n(.*\n)(.*\n)$/.exec(rotated) ?? [];
    const bad = (line: string) => line.replace(/(.)(=*\n)$/, (_, last: string, end: string) => `${last === 'A' ? 'Q' : 'A'}${end}`);
    for (const line of [first, second]) expect(openNote(rotated.replace(line, bad(line)), next.verifiers)).toBeUndefined();
  });
});

describe('a checkpoint as it is given out', () => {
  it('has the signatures of all keys; the time is that of the newest, and an earlier one says nothing of it', () => {
    const { newest, earlier, verifiers } = openPublication(signer, cosigner);
    const timeOf = (text: string) => cosignedAt(readNote(text, [cosigner.verifier])!.verified[0]!.signature);
    expect(verifiers.map(({ text }) => text)).toEqual([signer.verifier.text, cosigner.verifier.text]);
    const given = newest(checkpoint);
    expect(timeOf(given.note)).toBeGreaterThan(1_700_000_000n);
    expect(newest(checkpoint)).toBe(given);
    expect(timeOf(earlier(checkpoint).note)).toBe(0n);
  });

  it('comes with a policy that names the log, its witnesses and how many of them count', () => {
    expect(policyText(signer.verifier, { members: [], quorum: 0 })).toBe(`log ${signer.verifier.text}\nquorum none\n`);
    const members = ['a', 'b'].map((name) => ({ name, url: '', verifier: cosigner.verifier }));
    expect(policyText(signer.verifier, { members, quorum: 1 })).toBe(
      `log ${signer.verifier.text}\nwitness a ${cosigner.verifier.text}\nwitness b ${cosigner.verifier.text}\ngroup witnesses 1 a b\nquorum witnesses\n`,
    );
  });
});
