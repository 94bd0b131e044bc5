// OPAQUE: a text or bytes, of which nothing is known.
import { randomBytes } from 'node:crypto';
import { invalid } from '../../kernel/errors.ts';
import { checkPolicy, drawText } from '../password.ts';
import type { Recipe, SecretType } from './type.ts';

const LEAST_BYTES = 16;
const MOST_BYTES = 65_536;
const DEFAULT_BYTES = 32;

const bytesRecipe = (given: number, field: string): Recipe => {
  const length = given === 0 ? DEFAULT_BYTES : given;
  if (length < LEAST_BYTES || length > MOST_BYTES)
    throw invalid(field, `must be from ${LEAST_BYTES} to ${MOST_BYTES}, or 0 for ${DEFAULT_BYTES}`);
  return { needsNewest: false, make: () => ({ kind: 'BYTES', bytes: randomBytes(length) }) };
};

export const opaque: SecretType = {
  kinds: { text: 'TEXT', data: 'BYTES' },
  parse: (value) =>
    value.$case === 'data'
      ? { kind: 'BYTES', bytes: value.value }
      : { kind: 'TEXT', bytes: Buffer.from(value.$case === 'text' ? value.value : '', 'utf8') },
  show: (kind, bytes) => (kind === 'TEXT' ? { $case: 'text', value: bytes.toString('utf8') } : { $case: 'data', value: bytes }),
  recipe: (value, field) => {
    if (value.$case === 'data') return bytesRecipe(value.value.length, `${field}.data.length`);
    if (value.$case !== 'text') return undefined;
    const policy = checkPolicy(value.value, `${field}.text`);
    return { needsNewest: false, make: () => ({ kind: 'TEXT', bytes: drawText(policy) }) };
  },
};
