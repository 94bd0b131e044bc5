// Our few lines of RFC 8785 against the library by an author of the RFC.
import canonicalize from 'canonicalize';
import { randomInt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { canonical, type Json } from '../../src/audit/canonical.ts';

const LETTERS = ['a', 'B', 'z', '_', '/', '"', '\\', '\u007f', '\u00e9', '\u2028', '\ufb33', '\u{1f600}', '\n', '\u0001', ' '];
const text = (): string => Array.from({ length: randomInt(6) }, () => LETTERS[randomInt(LETTERS.length)]!).join('');
const value = (depth: number): Json => {
  const kind = randomInt(depth > 3 ? 3 : 6);
  if (kind === 0) return text();
  if (kind === 1) return [0, -0, 1, -1, 16, 1e21, 1e-7, 0.1, 2 ** 53][randomInt(9)]!;
  if (kind === 2) return randomInt(2) === 1;
  if (kind === 3) return Array.from({ length: randomInt(4) }, () => value(depth + 1));
  return Object.fromEntries(Array.from({ length: randomInt(6) }, () => [`k${text()}`, randomInt(8) === 0 ? undefined : value(depth + 1)]));
};

describe('canonical JSON', () => {
  it('is, of anything, what the library makes of it', () => {
    for (let i = 0; i < 2_000; i++) {
      const one = value(0);
      expect(canonical(one)).toBe(canonicalize(one));
    }
  });

  it('is refused of what it could not write in the order of the RFC, or not at all', () => {
    for (const bad of [{ a: 'b', 10: 'x' }, { a: '\ud800' }])
      expect(() => canonical(bad)).toThrow(expect.objectContaining({ reason: 'INTERNAL' }));
  });
});
