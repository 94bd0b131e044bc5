import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { hmacSha256 } from '../../src/keys/hmac.ts';

const hex = (text: string): Buffer => Buffer.from(text, 'hex');

describe('HMAC-SHA-256', () => {
  // RFC 4231, sections 4.2 to 4.5; longer keys are not taken.
  it.each([
    ['0b'.repeat(20), '4869205468657265', 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
    [
      '4a656665',
      '7768617420646f2079612077616e7420666f72206e6f7468696e673f',
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    ['aa'.repeat(20), 'dd'.repeat(50), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
    [
      '0102030405060708090a0b0c0d0e0f10111213141516171819',
      'cd'.repeat(50),
      '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
    ],
  ])('of the RFC’s key %s', (key, data, expected) => {
    expect(hmacSha256(hex(key), hex(data)).toString('hex')).toBe(expected);
  });

  it('is that of the library for any lengths, in any number of parts, one after another', () => {
    for (let length = 0; length < 2_400; length += 37) {
      const [key, data] = [randomBytes(1 + (length % 64)), randomBytes(length)];
      const cut = length % 41;
      const expected = createHmac('sha256', key).update(data).digest();
      expect(hmacSha256(key, data.subarray(0, cut), data.subarray(cut))).toEqual(expected);
      expect(hmacSha256(key, data)).toEqual(expected);
    }
  });
});
