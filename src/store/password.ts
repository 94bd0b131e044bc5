// Texts drawn at random under a policy. Every text that the policy allows is equally likely: how many characters each class gets is
// drawn from the exact number of texts there are with so many, not made up for afterwards. Pure but for the randomness it is given.
import { randomBytes } from 'node:crypto';
import { PasswordPolicy, PasswordPolicy_CharacterClass as CharacterClass } from '../gen/strongroom/secrets/v1/secret_types.ts';
import { invalid } from '../kernel/errors.ts';

type ClassName = Exclude<keyof typeof CharacterClass, 'UNSPECIFIED'>;
const ALPHABETS: Readonly<Record<ClassName, string>> = {
  LOWER: 'abcdefghijklmnopqrstuvwxyz',
  UPPER: 'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  DIGIT: '0123456789',
  SYMBOL: '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~',
};
const NAMES = Object.keys(ALPHABETS) as ClassName[];

const DEFAULT_LENGTH = 32;
const LEAST_LENGTH = 8;
const MOST_LENGTH = 128;
const LEAST_BITS = 80;

export type Random = (bytes: number) => Buffer;

/** Characters of which so many have to be there. */
interface Share {
  readonly alphabet: string;
  readonly least: number;
}
export interface Policy {
  readonly length: number;
  readonly shares: readonly Share[];
}

const sum = (all: readonly bigint[]): bigint => all.reduce((a, b) => a + b, 0n);

/** How many texts of `length` characters there are of the shares from `first` on, by how many characters the first of them gets. */
const waysOf = ({ length, shares }: Policy): ((first: number, rest: number) => bigint[]) => {
  const known = new Map<number, bigint>();
  const total = (first: number, rest: number): bigint => {
    if (first === shares.length) return rest === 0 ? 1n : 0n;
    const key = first * (length + 1) + rest;
    const count = known.get(key) ?? sum(ways(first, rest));
    known.set(key, count);
    return count;
  };
  const ways = (first: number, rest: number): bigint[] => {
    const { alphabet, least } = shares[first]!;
    // Which of the places, times what stands there: C(rest, count) × size^count.
    let placed = 1n;
    return Array.from({ length: rest + 1 }, (_, count) => {
      if (count > 0) placed = (placed * BigInt(rest - count + 1) * BigInt(alphabet.length)) / BigInt(count);
      return count < least ? 0n : placed * total(first + 1, rest - count);
    });
  };
  return ways;
};

/** How many texts the policy allows. */
export const countOf = (policy: Policy): bigint => (policy.shares.length === 0 ? 0n : sum(waysOf(policy)(0, policy.length)));

/** A number below `limit`, each as likely: what is too large is drawn again. */
const below = (limit: bigint, random: Random): bigint => {
  const bits = (limit - 1n).toString(2).length;
  const mask = (1n << BigInt(bits)) - 1n;
  for (;;) {
    const drawn = BigInt(`0x0${random(Math.ceil(bits / 8)).toString('hex')}`) & mask;
    if (drawn < limit) return drawn;
  }
};
/** The same for at most 256. */
const indexBelow = (limit: number, random: Random): number => {
  const whole = 256 - (256 % limit);
  for (;;) {
    const drawn = random(1)[0]!;
    if (drawn < whole) return drawn % limit;
  }
};

/** How many characters each share gets. */
const drawCounts = (policy: Policy, random: Random): number[] => {
  const waysFor = waysOf(policy);
  let rest = policy.length;
  return policy.shares.map((_, first) => {
    const ways = waysFor(first, rest);
    let left = below(sum(ways), random);
    const count = ways.findIndex((some) => {
      left -= some;
      return left < 0n;
    });
    rest -= count;
    return count;
  });
};

export const drawText = (policy: Policy, random: Random = randomBytes): Buffer => {
  const text = Buffer.alloc(policy.length);
  let end = 0;
  drawCounts(policy, random).forEach((count, i) => {
    const { alphabet } = policy.shares[i]!;
    for (const to = end + count; end < to; end++) text[end] = alphabet.charCodeAt(indexBelow(alphabet.length, random));
  });
  // Fisher and Yates: every order is as likely.
  for (let i = text.length - 1; i > 0; i--) {
    const other = indexBelow(i + 1, random);
    [text[i], text[other]] = [text[other]!, text[i]!];
  }
  return text;
};

const sharesOf = ({ classes, excludedCharacters }: PasswordPolicy, length: number, field: string): Share[] => {
  if (/[^!-~]/.test(excludedCharacters) || excludedCharacters.length > 94)
    throw invalid(`${field}.excluded_characters`, 'must be at most 94 printable characters of ASCII');
  const without = (alphabet: string) => [...alphabet].filter((character) => !excludedCharacters.includes(character)).join('');
  if (classes.length === 0) return NAMES.map((name) => ({ alphabet: without(ALPHABETS[name]), least: 1 }));
  if (new Set(classes.map(({ characterClass }) => characterClass)).size < classes.length)
    throw invalid(`${field}.classes`, 'has a class twice');
  return classes.map(({ characterClass, leastCount: least }, i) => {
    const name = NAMES.find((one) => CharacterClass[one] === characterClass);
    if (!name) throw invalid(`${field}.classes[${i}].character_class`, `must be one of ${NAMES.join(', ')}`);
    if (least < 0 || least > length) throw invalid(`${field}.classes[${i}].least_count`, `must be from 0 to the length, ${length}`);
    return { alphabet: without(ALPHABETS[name]), least };
  });
};

/** The defaults if absent. */
export const checkPolicy = (given: PasswordPolicy | undefined, field: string): Policy => {
  const policy = given ?? PasswordPolicy.create();
  const length = policy.length === 0 ? DEFAULT_LENGTH : policy.length;
  if (length < LEAST_LENGTH || length > MOST_LENGTH)
    throw invalid(`${field}.length`, `must be from ${LEAST_LENGTH} to ${MOST_LENGTH}, or 0 for ${DEFAULT_LENGTH}`);
  const checked: Policy = { length, shares: sharesOf(policy, length, field) };
  if (checked.shares.reduce((all, { least }) => all + least, 0) > length)
    throw invalid(`${field}.classes`, `ask for more characters than the length, ${length}`);
  if (countOf(checked) < 1n << BigInt(LEAST_BITS))
    throw invalid(field, `allows too few texts: at least ${LEAST_BITS} bits are needed; make it longer, or exclude less`);
  return checked;
};
