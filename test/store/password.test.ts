// Generated texts: every one that a policy allows is as likely as every other. The randomness here is a fixed stream, so that what
// is measured is the same in every run.
import { createCipheriv } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { PasswordPolicy, PasswordPolicy_CharacterClass as Class } from '../../src/gen/strongroom/secrets/v1/secret_types.ts';
import { checkPolicy, countOf, drawText, type Policy, type Random } from '../../src/store/password.ts';

/** The same stream of AES-CTR for each seed. */
const streamOf = (seed: number): Random => {
  const cipher = createCipheriv('aes-256-ctr', Buffer.alloc(32, seed), Buffer.alloc(16));
  return (bytes) => cipher.update(Buffer.alloc(bytes));
};
const check = (given: Parameters<typeof PasswordPolicy.fromPartial>[0] = {}) => checkPolicy(PasswordPolicy.fromPartial(given), 'p');
const refusal = (reason: string, field: string) =>
  expect.objectContaining({ reason, violations: [expect.objectContaining({ field })] }) as unknown;

/** All texts of a policy, found by trying every text. */
const allOf = ({ length, shares }: Policy): string[] => {
  const alphabet = shares.map((share) => share.alphabet).join('');
  let texts = [''];
  for (let i = 0; i < length; i++) texts = texts.flatMap((text) => [...alphabet].map((character) => text + character));
  const count = (text: string, of: string) => [...text].filter((character) => of.includes(character)).length;
  return texts.filter((text) => shares.every((share) => count(text, share.alphabet) >= share.least));
};

describe('a generated text', () => {
  it.each<[string, Policy]>([
    ['one class', { length: 4, shares: [{ alphabet: 'abc', least: 0 }] }],
    [
      'two classes that are both required',
      {
        length: 4,
        shares: [
          { alphabet: 'ab', least: 1 },
          { alphabet: '0', least: 1 },
        ],
      },
    ],
    [
      'three classes, one of them more than once',
      {
        length: 3,
        shares: [
          { alphabet: 'ab', least: 1 },
          { alphabet: '012', least: 2 },
          { alphabet: '!', least: 0 },
        ],
      },
    ],
  ])('of %s is each of those that the policy allows, as often as every other', (_, policy) => {
    const all = allOf(policy);
    expect(countOf(policy)).toBe(BigInt(all.length));
    const random = streamOf(all.length % 251);
    const times = 200;
    const found = new Map(all.map((text) => [text, 0]));
    for (let i = 0; i < times * all.length; i++) {
      const text = drawText(policy, random).toString('latin1');
      expect(found.has(text)).toBe(true);
      found.set(text, found.get(text)! + 1);
    }
    // Chi square: its mean is the degrees of freedom, its variance twice that. Five standard deviations; the stream is fixed.
    const chi = [...found.values()].reduce((sum, count) => sum + (count - times) ** 2 / times, 0);
    expect(chi).toBeLessThan(all.length - 1 + 5 * Math.sqrt(2 * (all.length - 1)));
  });

  it('has 32 characters of all four classes by default, and is another one each time', () => {
    const policy = checkPolicy(undefined, 'p');
    const texts = Array.from({ length: 200 }, () => drawText(policy).toString('latin1'));
    for (const text of texts)
      for (const pattern of [/^[!-~]{32}$/, /[a-z]/, /[A-Z]/, /[0-9]/, /[^a-zA-Z0-9]/]) expect(text).toMatch(pattern);
    expect(new Set(texts).size).toBe(200);
  });

  it('has what was asked for: length, least counts, no other class, and nothing that is excluded', () => {
    const policy = check({
      length: 40,
      classes: [
        { characterClass: Class.DIGIT, leastCount: 20 },
        { characterClass: Class.LOWER, leastCount: 5 },
      ],
      excludedCharacters: 'lo01',
    });
    for (let i = 0; i < 100; i++) {
      const text = drawText(policy).toString('latin1');
      expect(text).toMatch(/^[a-km-np-z2-9]{40}$/);
      expect(text.replace(/\D/g, '').length).toBeGreaterThanOrEqual(20);
      expect(text.replace(/\d/g, '').length).toBeGreaterThanOrEqual(5);
    }
  });

  it('of the longest kind is made in no time, also where the least counts leave no choice', () => {
    const all = [Class.LOWER, Class.UPPER, Class.DIGIT, Class.SYMBOL].map((characterClass) => ({ characterClass, leastCount: 32 }));
    const policy = check({ length: 128, classes: all });
    const text = drawText(policy).toString('latin1');
    for (const pattern of [/[a-z]/g, /[A-Z]/g, /[0-9]/g, /[^a-zA-Z0-9]/g]) expect(text.match(pattern)).toHaveLength(32);
  });
});

describe('a policy', () => {
  it.each([
    ['p.length', { length: 7 }],
    ['p.length', { length: 129 }],
    ['p.length', { length: -1 }],
    ['p.classes', { classes: [{ characterClass: Class.LOWER }, { characterClass: Class.LOWER }] }],
    ['p.classes[0].character_class', { classes: [{ characterClass: 0 as never }] }],
    ['p.classes[0].character_class', { classes: [{ characterClass: 5 as never }] }],
    ['p.classes[0].least_count', { classes: [{ characterClass: Class.LOWER, leastCount: 33 }] }],
    ['p.classes[0].least_count', { classes: [{ characterClass: Class.LOWER, leastCount: -1 }] }],
    [
      'p.classes',
      {
        classes: [
          { characterClass: Class.LOWER, leastCount: 20 },
          { characterClass: Class.DIGIT, leastCount: 13 },
        ],
      },
    ],
    ['p.excluded_characters', { excludedCharacters: 'é' }],
    ['p.excluded_characters', { excludedCharacters: ' ' }],
    ['p.excluded_characters', { excludedCharacters: 'a'.repeat(95) }],
    // 80 bits are needed: 24 digits have 79.7, 12 characters of all have less than 78.7.
    ['p', { length: 24, classes: [{ characterClass: Class.DIGIT }] }],
    ['p', { length: 12 }],
    ['p', { classes: [{ characterClass: Class.DIGIT }], excludedCharacters: '0123456789' }],
    ['p', { classes: [{ characterClass: Class.DIGIT, leastCount: 1 }, { characterClass: Class.LOWER }], excludedCharacters: '0123456789' }],
  ])('is refused at %s: %j', (field, given) => {
    expect(() => check(given)).toThrow(refusal('INVALID_FIELD', field));
  });

  it('is taken up to each of its limits', () => {
    for (const given of [
      { length: 13 },
      { length: 128 },
      { length: 25, classes: [{ characterClass: Class.DIGIT }] },
      { classes: [{ characterClass: Class.LOWER, leastCount: 32 }] },
      { length: 32, excludedCharacters: '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}' },
    ])
      expect(() => check(given)).not.toThrow();
  });
});
