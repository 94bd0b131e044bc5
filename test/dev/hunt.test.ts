// The search that every test of leaks relies on: where it finds nothing, it is not blind.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { find, findIn, formsOf, type Needle } from '../../src/dev/hunt.ts';

const value = Buffer.from('c0ffee00c0ffee11c0ffee22c0ffee33c0ffee44', 'hex');
const needle: Needle = { what: 'it', forms: formsOf(value) };
const isFound = (bytes: Buffer): boolean => findIn(bytes, [needle]).length === 1;

describe('the search for bytes', () => {
  it('finds them in every form in which they could have been written', () => {
    for (const before of [0, 1, 2, 3])
      for (const form of ['base64', 'base64url', 'hex', 'latin1'] as const) {
        const written = Buffer.concat([Buffer.alloc(before, 7), value, Buffer.alloc(3, 9)]).toString(form);
        expect(isFound(Buffer.from(written, 'latin1')), `${form} after ${before}`).toBe(true);
        if (form !== 'latin1') expect(isFound(Buffer.from(written, 'utf16le')), `${form} after ${before}, UTF-16`).toBe(true);
      }
    expect(isFound(Buffer.from(JSON.stringify(value)))).toBe(true);
    expect(isFound(randomBytes(10_000))).toBe(false);
  });

  it('says in which file they are, also where two pieces of it meet that are read one after the other', () => {
    const folder = mkdtempSync(join(tmpdir(), 'strongroom-hunt-'));
    const [below, far, empty] = [join(folder, 'below'), join(folder, 'below', 'far'), join(folder, 'empty')];
    try {
      mkdirSync(below);
      const large = Buffer.alloc(32 * 1024 * 1024 + 100, 7);
      value.copy(large, 32 * 1024 * 1024 - 5);
      writeFileSync(far, large);
      writeFileSync(empty, '');
      expect(find([folder, join(folder, 'gone')], [needle])).toEqual([{ needle, file: far }]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
