// Canonical JSON (RFC 8785) of what entries consist of: texts, numbers, and lists and objects of these. The RFC writes both as
// ECMAScript does, so that sorting the keys is all that is left to do; the library that can do more takes five times as long. Pure.
import { AppError } from '../kernel/errors.ts';

export type Json = string | number | boolean | readonly Json[] | { readonly [key: string]: Json | undefined };

/** ECMAScript puts keys that are numbers first, wherever they belong. */
const NUMBER = /^\d+$/;

const isList = (value: Json): value is readonly Json[] => Array.isArray(value);

const sorted = (value: Json): Json => {
  if (typeof value === 'string' && !value.isWellFormed()) throw new AppError('INTERNAL', 'a text of an entry is not well-formed');
  if (typeof value !== 'object') return value;
  if (isList(value)) return value.map(sorted);
  const copy: Record<string, Json> = {};
  for (const key of Object.keys(value).sort()) {
    if (NUMBER.test(key)) throw new AppError('INTERNAL', 'a key of an entry is a number');
    const member = value[key];
    if (member !== undefined) copy[key] = sorted(member);
  }
  return copy;
};

export const canonical = (value: Json): string => JSON.stringify(sorted(value));
