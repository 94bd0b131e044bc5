import { describe, expect, it } from 'vitest';
import { aliasesOf, checkExpected, MAX_ALIASES, numberOf, parseAlias, withAlias, withoutAlias } from '../../src/store/aliases.ts';
import type { ResourceId } from '../../src/store/names.ts';

const secret = { latest_version: 7, version_aliases: { stable: 6, constructor: 7, canary: 7 } };
const called = (name: string) => numberOf(secret, name as ResourceId);

describe('a version', () => {
  it('is found by its number, by what follows from the newest, and by the aliases of its secret', () => {
    expect(numberOf(secret, 3)).toBe(3);
    expect(['latest', 'previous', 'stable', 'constructor'].map(called)).toEqual([7, 6, 6, 7]);
  });

  it('is not found by what is no alias, whatever JavaScript objects inherit', () => {
    expect(['nobody', 'valueof', 'to-string'].map(called)).toEqual([undefined, undefined, undefined]);
    expect(numberOf({ ...secret, version_aliases: {} }, 'constructor' as ResourceId)).toBeUndefined();
  });

  it('tells all that it is called', () => {
    expect(aliasesOf(secret, 7)).toEqual(['latest', 'canary', 'constructor']);
    expect(aliasesOf(secret, 6)).toEqual(['previous', 'stable']);
    expect(aliasesOf(secret, 5)).toEqual([]);
  });
});

describe('an alias', () => {
  it.each(['latest', 'previous', '7', '1st', 'Stable', 'a_b', 'a-', '', 'a'.repeat(64), 'ä'])('cannot be %j', (name) => {
    expect(() => parseAlias(name, 'alias')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', metadata: { field: 'alias' } }));
  });

  it.each(['a', 'a'.repeat(63), 'latest-1', 'v7'])('can be %j', (name) => expect(parseAlias(name, 'alias')).toBe(name));

  it('is where the caller expects it, or the change is refused; 0 is nowhere', () => {
    expect(checkExpected(secret, 's', 'stable', 6)).toBe(6);
    expect(checkExpected(secret, 's', 'stable', undefined)).toBe(6);
    expect(checkExpected(secret, 's', 'new', 0)).toBeUndefined();
    for (const [alias, expected] of [
      ['stable', 5],
      ['stable', 0],
      ['new', 1],
    ] as const)
      expect(() => checkExpected(secret, 's', alias, expected)).toThrow(expect.objectContaining({ reason: 'ETAG_MISMATCH' }));
  });

  it('is on one version, and there are at most twenty', () => {
    expect(withAlias(secret, 's', 'stable', 7)).toEqual({ stable: 7, constructor: 7, canary: 7 });
    expect(withoutAlias(secret, 'canary')).toEqual({ stable: 6, constructor: 7 });
    const full = { ...secret, version_aliases: Object.fromEntries(Array.from({ length: MAX_ALIASES }, (_, i) => [`a${i}`, 1])) };
    expect(withAlias(full, 's', 'a7', 2)).toMatchObject({ a6: 1, a7: 2 });
    expect(() => withAlias(full, 's', 'one-more', 1)).toThrow(
      expect.objectContaining({ reason: 'LIMIT_REACHED', metadata: { resource: 's', limit: '20' } }),
    );
  });
});
