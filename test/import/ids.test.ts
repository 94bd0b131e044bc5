import { describe, expect, it } from 'vitest';
import { idOf, problemsOf } from '../../src/import/ids.ts';
import { lineOf } from '../../src/import/progress.ts';
import { parseId } from '../../src/store/names.ts';

describe('a name', () => {
  it.each([
    ['DB_PASSWORD', 'db-password'],
    ['apps/orders/db', 'apps-orders-db'],
    ['--a..b__c--', 'a-b-c'],
    ['Größe', 'gr-e'],
    ['a'.repeat(63), 'a'.repeat(63)],
  ])('%j becomes an ID that the store takes', (name, id) => {
    expect(idOf(name)).toBe(id);
    expect(problemsOf([name])).toEqual([]);
    expect(parseId(id, 'secret_id')).toBe(id);
  });

  it.each(['1PASSWORD', '', '///', 'a'.repeat(64), 'пароль'])('%j has none, which is told', (name) => {
    expect(problemsOf(['fine', name])).toEqual([expect.stringContaining(JSON.stringify(name))]);
    expect(() => parseId(idOf(name), 'secret_id')).toThrow();
  });

  it('that makes the same ID as another is told with it', () => {
    expect(problemsOf(['DB_PASSWORD', 'x', 'db/password', 'db.password', 'x'])).toEqual([
      '"DB_PASSWORD" and "db/password" and "db.password" would both be db-password',
      '"x" and "x" would both be x',
    ]);
  });
});

describe('the progress', () => {
  it('is a bar that is full at the end', () => {
    expect(lineOf(0, 7)).toBe(`[${'-'.repeat(30)}] 0/7`);
    expect(lineOf(3, 6)).toBe(`[${'#'.repeat(15)}${'-'.repeat(15)}] 3/6`);
    expect(lineOf(7, 7)).toBe(`[${'#'.repeat(30)}] 7/7`);
    expect(lineOf(0, 0)).toBe(`[${'#'.repeat(30)}] 0/0`);
  });
});
