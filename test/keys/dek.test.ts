// Wrapped DEKs of every format, as their golden vectors have them, and what becomes of them as a scope's key gets new versions.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { generateDek, keyVersionOf, unwrapAndRenew, unwrapDek, wrapDek, type DekPlace, type ScopeKey } from '../../src/keys/dek.ts';

interface Vector {
  name: string;
  expect: 'success' | 'CIPHERTEXT_INVALID' | 'SCOPE_KEY_VERSION_DESTROYED';
  dek: string;
  salt?: string;
  wrapped: string;
}
type Vector1 = Vector & { scopeKey: string; place: Omit<DekPlace, 'additionalData'> };
type Vector2 = Vector & {
  primary: number;
  living: Record<string, string>;
  place: Omit<DekPlace, 'additionalData'> & { additionalData: string };
};

const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const vectorsOf = <V>(file: string): V[] =>
  (JSON.parse(readFileSync(new URL(`../vectors/keys/${file}`, import.meta.url), 'utf8')) as { vectors: V[] }).vectors;
const only = (key: Buffer): ScopeKey => ({ primary: 1, living: [{ version: 1, key }] });
const place1 = ({ place }: Vector1): DekPlace => ({ ...place, additionalData: Buffer.alloc(0) });
const open = (scopeKey: ScopeKey, v: Vector, place: DekPlace): Buffer | string => {
  try {
    return unwrapDek(scopeKey, hex(v.wrapped), place);
  } catch (error) {
    return (error as { reason: string }).reason;
  }
};
const expected = (v: Vector): Buffer | string => (v.expect === 'success' ? hex(v.dek) : v.expect);

describe('wrapped DEKs of format 1', () => {
  it.each(vectorsOf<Vector1>('dek-v1.json'))('$name: $expect', (v) => {
    expect(open(only(hex(v.scopeKey)), v, place1(v))).toEqual(expected(v));
  });

  it('open also beside newer versions of the scope’s key, and for no additional data', () => {
    const [v] = vectorsOf<Vector1>('dek-v1.json') as [Vector1];
    const rotated: ScopeKey = { primary: 2, living: [...only(hex(v.scopeKey)).living, { version: 2, key: randomBytes(32) }] };
    expect(open(rotated, v, place1(v))).toEqual(hex(v.dek));
    expect(open(rotated, v, { ...place1(v), additionalData: Buffer.of(0) })).toBe('CIPHERTEXT_INVALID');
  });
});

describe('wrapped DEKs of format 2', () => {
  it.each(vectorsOf<Vector2>('dek-v2.json'))('$name: $expect', (v) => {
    const living = Object.entries(v.living).map(([version, key]) => ({ version: Number(version), key: hex(key) }));
    const [scopeKey, place] = [
      { primary: v.primary, living },
      { ...v.place, additionalData: hex(v.place.additionalData) },
    ];
    expect(open(scopeKey, v, place)).toEqual(expected(v));
    if (v.salt !== undefined) expect(wrapDek(scopeKey, hex(v.dek), place, hex(v.salt)).toString('hex')).toBe(v.wrapped);
  });
});

describe('a scope’s key with several versions', () => {
  const [v] = vectorsOf<Vector1>('dek-v1.json') as [Vector1];
  const place: DekPlace = { ...place1(v), additionalData: Buffer.from('mine') };
  const [one, two] = [1, 2].map((version) => ({ version, key: randomBytes(32) })) as [
    ScopeKey['living'][number],
    ScopeKey['living'][number],
  ];
  const before: ScopeKey = { primary: 1, living: [one] };
  const after: ScopeKey = { primary: 2, living: [one, two] };

  it('wraps by the primary one, and says which it was', () => {
    expect(keyVersionOf(generateDek(before, place).wrappedDek)).toBe(1);
    expect(keyVersionOf(generateDek(after, place).wrappedDek)).toBe(2);
  });

  it('opens what an old one wrapped, with a fresh wrap to keep in its place', () => {
    const { dek, wrappedDek } = generateDek(before, place);
    const renewed = unwrapAndRenew(after, wrappedDek, place);
    expect(renewed.dek).toEqual(dek);
    expect(unwrapDek({ primary: 2, living: [two] }, renewed.wrappedDek, place)).toEqual(dek);
    expect(unwrapAndRenew(after, renewed.wrappedDek, place)).toEqual({ dek, wrappedDek: Buffer.alloc(0) });
    expect(unwrapAndRenew(only(hex(v.scopeKey)), hex(v.wrapped), place1(v)).wrappedDek).toHaveLength(117);
  });

  it('goes on to open what it can when a restore has left it without its primary one, and wraps nothing', () => {
    const { dek, wrappedDek } = generateDek(before, place);
    const bereft: ScopeKey = { primary: 2, living: [one] };
    expect(unwrapAndRenew(bereft, wrappedDek, place)).toEqual({ dek, wrappedDek: Buffer.alloc(0) });
    expect(() => generateDek(bereft, place)).toThrow(expect.objectContaining({ reason: 'SCOPE_KEY_VERSION_DESTROYED' }));
  });
});
