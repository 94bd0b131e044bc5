// The grammar of filters: what is understood and how, and what is refused and where.
import { describe, expect, it } from 'vitest';
import { AppError } from '../../src/kernel/errors.ts';
import { parseFilter, type Filter } from '../../src/store/filter.ts';

/** As an expression with all its parentheses. */
const shown = (filter: Filter): string => {
  if (filter.is === 'and' || filter.is === 'or') return `(${filter.of.map(shown).join(` ${filter.is} `)})`;
  if (filter.is === 'not') return `not ${shown(filter.of)}`;
  if (filter.is === 'text') return `${filter.field}=${filter.value}${filter.isPrefix ? '…' : ''}`;
  if (filter.is === 'time') return `${filter.field}${filter.comparator}${filter.value.toISOString()}`;
  return `${filter.key}=${filter.value ?? 'any'}`;
};
const parse = (text: string): string => {
  const filter = parseFilter(text);
  return filter ? shown(filter) : '';
};

describe('a filter', () => {
  it.each([
    ['', ''],
    ['   ', ''],
    ['secret_id = db', 'secret_id=db'],
    ['secret_id="db-*"', 'secret_id=db-…'],
    ['secret_id!=db', 'not secret_id=db'],
    ['state = DELETED', 'state=DELETED'],
    ['type = SECRET_TYPE_OPAQUE OR type = CERTIFICATE', '(type=OPAQUE or type=CERTIFICATE)'],
    ['labels:env', 'env=any'],
    ['labels.env:*', 'env=any'],
    ['labels.env:"*"', 'env=*'],
    ['labels.env = prod', 'env=prod'],
    ['labels.env:prod', 'env=prod'],
    ['labels.env != ""', 'not env='],
    ['labels.a-b = "x\\"y\\\\"', 'a-b=x"y\\'],
    ['create_time >= "2026-11-25T08:00:00Z"', 'create_time>=2026-11-25T08:00:00.000Z'],
    ['update_time<"2026-11-25T08:00:00.5+01:00"', 'update_time<2026-11-25T07:00:00.500Z'],
    ['secret_id=a AND secret_id=b OR secret_id=c', '(secret_id=a and (secret_id=b or secret_id=c))'],
    ['(secret_id=a AND secret_id=b) OR NOT secret_id=c', '((secret_id=a and secret_id=b) or not secret_id=c)'],
    ['-labels:env AND NOT (labels:a OR labels:b)', '(not env=any and not (a=any or b=any))'],
    ['((((secret_id = AND))))', 'secret_id=AND'],
  ])('%s is understood', (text, expected) => {
    expect(parse(text)).toBe(expected);
  });

  it.each([
    ['secret_id', 10, 'a comparator is missing'],
    ['secret_id =', 12, 'a value is missing'],
    ['secret_id = (', 13, 'a value is expected'],
    ['= db', 1, 'a field is expected'],
    ['name = db', 1, 'knows secret_id'],
    ['secret_id < db', 11, 'takes = and !='],
    ['state = GONE', 9, 'one of ACTIVE'],
    ['type = SECRET_TYPE_POEM', 8, 'one of OPAQUE'],
    ['create_time : "2026-11-25T08:00:00Z"', 13, 'a time takes'],
    ['create_time > yesterday', 15, 'RFC 3339'],
    ['create_time > "2026-13-45T08:00:00Z"', 15, 'RFC 3339'],
    ['labels = env', 8, 'labels takes only :'],
    ['labels.Env = x', 1, 'a label key'],
    ['labels.a.b = x', 1, 'a label key'],
    ['labels.env < x', 12, 'takes =, != and :'],
    ['secret_id = a secret_id = b', 15, 'AND or OR is expected'],
    ['(secret_id = a', 15, 'a closing parenthesis is missing'],
    ['(secret_id = a secret_id = b', 16, 'AND, OR or a closing parenthesis'],
    ['secret_id = a)', 14, 'AND or OR is expected'],
    ['secret_id = "a', 12, 'neither a word'],
    ['secret_id = a AND', 18, 'a field is missing'],
    [`secret_id = 'a' OR 1=1; drop`, 20, 'knows secret_id'],
  ])('%s is refused where it is wrong', (text, at, why) => {
    try {
      parse(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(AppError);
      expect((error as AppError).metadata).toEqual({ field: 'filter' });
      expect((error as AppError).message).toContain(`at character ${at}: `);
      expect((error as AppError).message).toContain(why);
    }
  });

  it('has limits: its length, its depth, and how much it compares', () => {
    const one = 'labels:a';
    const long = one.padEnd(2_048);
    expect(parse(long)).toBe('a=any');
    expect(() => parse(`${long} `)).toThrow('more than 2048 characters');
    expect(() => parse('secret_id = "a\u0000"')).toThrow('control characters');
    const deep = (levels: number) => `${'('.repeat(levels)}${one}${')'.repeat(levels)}`;
    expect(parse(deep(16))).toBe('a=any');
    expect(() => parse(deep(17))).toThrow('deeper than 16 levels');
    expect(() => parse(`${'NOT '.repeat(17)}${one}`)).toThrow('deeper than 16 levels');
    const wide = (count: number) => Array.from({ length: count }, () => one).join(' OR ');
    expect(parseFilter(wide(64))).toMatchObject({ is: 'or' });
    expect(() => parse(wide(65))).toThrow('more than 64 comparisons');
  });
});
