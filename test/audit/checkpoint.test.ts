import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkpointText, parseCheckpoint, parseReceipt, receiptText } from '../../src/audit/checkpoint.ts';

const { checkpoint: published } = JSON.parse(readFileSync(new URL('../vectors/audit/c2sp-examples.json', import.meta.url), 'utf8')) as {
  checkpoint: string;
};
const root = Buffer.from('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=', 'base64');

describe('checkpoints', () => {
  it('of the specification are read, and written the same', () => {
    expect(parseCheckpoint(published)).toEqual({ origin: 'example.com/behind-the-sofa', size: 20_852_163n, root });
    expect(checkpointText(parseCheckpoint(published)!)).toBe(published);
  });

  it('may be of an empty log, and of one beyond 2^53 entries', () => {
    for (const size of [0n, 2n ** 53n + 1n, 2n ** 63n - 1n]) {
      expect(parseCheckpoint(checkpointText({ origin: 'o', size, root }))?.size).toBe(size);
    }
  });

  it('may have extension lines', () => {
    expect(parseCheckpoint(`${published}extension\n`)?.size).toBe(20_852_163n);
  });

  const line = root.toString('base64');
  it.each([
    ['a size with a leading zero', `o\n020852163\n${line}\n`],
    ['a size of two zeros', `o\n00\n${line}\n`],
    ['a negative size', `o\n-1\n${line}\n`],
    ['a size in hexadecimal', `o\n0x10\n${line}\n`],
    ['a size with a space', `o\n 1\n${line}\n`],
    ['no size', `o\n\n${line}\n`],
    ['no origin', `\n1\n${line}\n`],
    ['a root too short', `o\n1\n${root.subarray(0, 31).toString('base64')}\n`],
    ['a root too long', `o\n1\n${Buffer.concat([root, root]).toString('base64')}\n`],
    ['a root without padding', `o\n1\n${line.slice(0, -1)}\n`],
    ['a root in the URL alphabet', `o\n1\n${line.replaceAll('/', '_')}\n`],
    ['a root with stray bits', `o\n1\n${line.replace('2I=', '2J=')}\n`],
    ['no line feed at its end', `o\n1\n${line}`],
    ['a carriage return', `o\r\n1\r\n${line}\r\n`],
    ['an empty extension line', `o\n1\n${line}\n\nx\n`],
    ['two lines only', 'o\n1\n'],
    ['nothing', ''],
  ])('with %s are refused', (_, text) => {
    expect(parseCheckpoint(text)).toBeUndefined();
  });
});

describe('receipts', () => {
  const note = `${published}\n\u2014 example.com/behind-the-sofa AAAA\n`;
  const hashes = Array.from({ length: 3 }, () => randomBytes(32));

  it('are the text that the specification shows: format, index, hashes, a blank line and the checkpoint as it was signed', () => {
    const lines = hashes.map((hash) => hash.toString('base64'));
    expect(receiptText({ index: 73_894n, hashes, note })).toBe(`c2sp.org/tlog-proof@v1\nindex 73894\n${lines.join('\n')}\n\n${note}`);
  });

  it('come back as they were, also for the one entry of a log of one', () => {
    for (const receipt of [
      { index: 73_894n, hashes, note },
      { index: 0n, hashes: [], note },
    ]) {
      expect(parseReceipt(receiptText(receipt))).toEqual(receipt);
    }
  });

  it('may have an extra line after the format, and nowhere else', () => {
    const text = receiptText({ index: 1n, hashes, note });
    expect(parseReceipt(text.replace('\nindex', '\nextra AAAA\nindex'))).toEqual({ index: 1n, hashes, note });
    expect(parseReceipt(`extra AAAA\n${text}`)).toBeUndefined();
    expect(parseReceipt(text.replace('\nindex 1\n', '\nindex 1\nextra AAAA\n'))).toBeUndefined();
    expect(parseReceipt(text.replace('\nindex', '\nextra AAAA\nextra AAAA\nindex'))).toBeUndefined();
  });

  const good = receiptText({ index: 12n, hashes, note });
  it.each([
    ['another format', good.replace('@v1', '@v2')],
    ['no index', good.replace('index 12\n', '')],
    ['an index with a leading zero', good.replace('index 12', 'index 012')],
    ['a negative index', good.replace('index 12', 'index -12')],
    ['a hash too short', good.replace(hashes[0]!.toString('base64'), randomBytes(31).toString('base64'))],
    ['a hash without padding', good.replace(hashes[0]!.toString('base64'), hashes[0]!.toString('base64').slice(0, -1))],
    ['no checkpoint', good.slice(0, good.indexOf('\n\n') + 1)],
    ['nothing', ''],
  ])('with %s are refused', (_, text) => {
    expect(parseReceipt(text)).toBeUndefined();
  });
});
