// Filters of lists, a subset of AIP-160: text in, a tree of restrictions out, or a refusal that says where. Pure.
//
//   expression  = factor { "AND" factor }          AND is spelled out, and OR binds more tightly, as AIP-160 has it
//   factor      = term { "OR" term }
//   term        = [ "NOT" | "-" ] ( "(" expression ")" | restriction )
//   restriction = field comparator value
//   field       = "secret_id" | "state" | "type" | "create_time" | "update_time" | "labels" [ "." key ]
//   comparator  = "=" | "!=" | "<" | "<=" | ">" | ">=" | ":"
//   value       = a word, or a text in double quotes, in which \" and \\ stand for themselves
import { invalid } from '../kernel/errors.ts';
import { checkText } from '../kernel/fields.ts';
import { TYPES } from './types/types.ts';

export type Comparator = '=' | '!=' | '<' | '<=' | '>' | '>=' | ':';

export type Filter =
  | { readonly is: 'and'; readonly of: readonly Filter[] }
  | { readonly is: 'or'; readonly of: readonly Filter[] }
  | { readonly is: 'not'; readonly of: Filter }
  /** With `isPrefix`, the value is how it begins. */
  | { readonly is: 'text'; readonly field: TextField; readonly value: string; readonly isPrefix: boolean }
  | { readonly is: 'time'; readonly field: TimeField; readonly comparator: Exclude<Comparator, ':'>; readonly value: Date }
  /** Without a value: there is such a label. */
  | { readonly is: 'label'; readonly key: string; readonly value: string | undefined };

const TEXT_FIELDS = ['secret_id', 'state', 'type'] as const;
const TIME_FIELDS = ['create_time', 'update_time'] as const;
export type TextField = (typeof TEXT_FIELDS)[number];
export type TimeField = (typeof TIME_FIELDS)[number];
/** What these fields can be. Types go by the names of the API, or what is special in them. */
const KNOWN: Readonly<Partial<Record<TextField, readonly string[]>>> = {
  state: ['ACTIVE', 'DELETED', 'PURGING'],
  type: Object.keys(TYPES),
};

const MOST_CHARACTERS = 2_048;
const MOST_DEPTH = 16;
const MOST_RESTRICTIONS = 64;

const TOKEN = /\s*(?:(?<text>"(?:[^"\\]|\\["\\])*")|(?<sign><=|>=|!=|[()<>=:-])|(?<word>[^\s()<>=:!"-][^\s()<>=:!"]*))/y;
const LABEL_KEY = /^[a-z][a-z0-9_-]{0,62}$/;
/** RFC 3339. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

interface Token {
  readonly kind: 'text' | 'sign' | 'word';
  readonly value: string;
  /** Of its first character, from 1. */
  readonly at: number;
}

const wrong = (at: number, what: string) => invalid('filter', `at character ${at}: ${what}`);

const tokensOf = (source: string): Token[] => {
  const tokens: Token[] = [];
  const end = source.trimEnd().length;
  for (let from = 0; from < end;) {
    TOKEN.lastIndex = from;
    const found = TOKEN.exec(source);
    if (!found?.groups) throw wrong(from + 1, 'neither a word, a text in double quotes, a comparator nor a parenthesis');
    const { text, sign, word } = found.groups;
    const value = text?.slice(1, -1).replaceAll(/\\(["\\])/g, '$1') ?? sign ?? word ?? '';
    const kind = text !== undefined ? 'text' : sign !== undefined ? 'sign' : 'word';
    from = TOKEN.lastIndex;
    tokens.push({ kind, value, at: from - (text ?? sign ?? word ?? '').length + 1 });
  }
  return tokens;
};

/** Undefined if it is empty. */
export const parseFilter = (text: string): Filter | undefined => {
  const source = checkText(text, 'filter', MOST_CHARACTERS);
  const tokens = tokensOf(source);
  if (tokens.length === 0) return undefined;
  let next = 0;
  let restrictions = 0;

  const isNext = (kind: Token['kind'], value: string): boolean => tokens[next]?.kind === kind && tokens[next]?.value === value;
  const skip = (kind: Token['kind'], value: string): boolean => {
    const found = isNext(kind, value);
    if (found) next++;
    return found;
  };
  const take = (what: string): Token => {
    const token = tokens[next++];
    if (!token) throw wrong(source.trimEnd().length + 1, `${what} is missing`);
    return token;
  };

  const expression = (depth: number): Filter => listOf('and', 'AND', depth, factor);
  const factor = (depth: number): Filter => listOf('or', 'OR', depth, term);
  const listOf = (is: 'and' | 'or', word: string, depth: number, part: (depth: number) => Filter): Filter => {
    const of = [part(depth)];
    while (skip('word', word)) of.push(part(depth));
    return of.length === 1 ? of[0]! : { is, of };
  };
  const term = (depth: number): Filter => {
    if (depth > MOST_DEPTH) throw wrong(tokens[next]?.at ?? source.length, `deeper than ${MOST_DEPTH} levels`);
    if (skip('word', 'NOT') || skip('sign', '-')) return { is: 'not', of: term(depth + 1) };
    if (!skip('sign', '(')) return restriction();
    const inner = expression(depth + 1);
    const close = take('a closing parenthesis');
    if (close.kind !== 'sign' || close.value !== ')') throw wrong(close.at, 'AND, OR or a closing parenthesis is expected');
    return inner;
  };
  const restriction = (): Filter => {
    const field = take('a field');
    if (field.kind !== 'word') throw wrong(field.at, 'a field is expected');
    if (++restrictions > MOST_RESTRICTIONS) throw wrong(field.at, `more than ${MOST_RESTRICTIONS} comparisons`);
    const comparator = take('a comparator');
    if (comparator.kind !== 'sign' || '()-'.includes(comparator.value)) throw wrong(comparator.at, 'one of = != < <= > >= : is expected');
    const value = take('a value');
    if (value.kind === 'sign') throw wrong(value.at, 'a value is expected; put it in double quotes if it has such characters');
    return restrictionOf(field, comparator as Token & { value: Comparator }, value);
  };

  const parsed = expression(0);
  const rest = tokens[next];
  if (rest) throw wrong(rest.at, 'AND or OR is expected');
  return parsed;
};

const restrictionOf = (field: Token, comparator: Token & { value: Comparator }, value: Token): Filter => {
  const text = TEXT_FIELDS.find((one) => one === field.value);
  if (text) return equality(comparator, '= and !=', false, textOf(text, value));
  const time = TIME_FIELDS.find((one) => one === field.value);
  if (time) return timeOf(time, comparator, value);
  if (field.value === 'labels') {
    if (comparator.value !== ':') throw wrong(comparator.at, 'labels takes only : and a key; labels.key takes = != and :');
    return { is: 'label', key: keyOf(value.value, value.at), value: undefined };
  }
  if (field.value.startsWith('labels.')) {
    const key = keyOf(field.value.slice('labels.'.length), field.at);
    const isAny = comparator.value === ':' && value.kind === 'word' && value.value === '*';
    return equality(comparator, '=, != and :', true, { is: 'label', key, value: isAny ? undefined : value.value });
  }
  throw wrong(field.at, `knows ${[...TEXT_FIELDS, ...TIME_FIELDS].join(', ')}, labels and labels.key`);
};

/** A comparison for what is equal or not. */
const equality = (comparator: Token, known: string, has: boolean, filter: Filter): Filter => {
  if (comparator.value === '=' || (has && comparator.value === ':')) return filter;
  if (comparator.value === '!=') return { is: 'not', of: filter };
  throw wrong(comparator.at, `this field takes ${known}`);
};

const keyOf = (key: string, at: number): string => {
  if (!LABEL_KEY.test(key)) throw wrong(at, 'a label key is 1 to 63 characters of a-z, 0-9, _ and -, starting with a letter');
  return key;
};

/** `*` at the end stands for any characters. */
const textOf = (field: TextField, { value: given, at }: Token): Filter => {
  const value = field === 'type' ? given.replace(/^SECRET_TYPE_/, '') : given;
  const known = KNOWN[field];
  if (known?.includes(value) === false) throw wrong(at, `${field} is one of ${known.join(', ')}`);
  const isPrefix = value.endsWith('*');
  return { is: 'text', field, value: isPrefix ? value.slice(0, -1) : value, isPrefix };
};

const timeOf = (field: TimeField, comparator: Token & { value: Comparator }, { value, at }: Token): Filter => {
  if (comparator.value === ':') throw wrong(comparator.at, 'a time takes = != < <= > >=');
  const time = new Date(TIME.test(value) ? value : Number.NaN);
  if (Number.isNaN(time.getTime())) throw wrong(at, 'a time is as "2026-11-25T08:00:00Z" (RFC 3339), in double quotes');
  return { is: 'time', field, comparator: comparator.value, value: time };
};
