import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { pageOf, pageSize, pageTokens } from '../../src/kernel/page.ts';

const tokens = pageTokens(randomBytes(32));
const binding = ['secrets', 'instances/i/groups/g'];
const refused = expect.objectContaining({
  reason: 'INVALID_PAGE_TOKEN',
  code: 'INVALID_ARGUMENT',
  violations: [expect.objectContaining({ field: 'page_token' })],
}) as Error;

describe('page tokens', () => {
  it('carry the cursor from one page to the next, whatever is in it', () => {
    for (const cursor of [[], ['a'], ['instances/i', '"quoted", é 😀', '']])
      expect(tokens.open(tokens.seal(cursor, binding), binding)).toEqual(cursor);
  });

  it('show nothing of what is in them, and are another text each time', () => {
    const token = tokens.seal(['a-telling-name'], binding);
    expect(Buffer.from(token, 'base64url').includes('a-telling-name')).toBe(false);
    expect(tokens.seal(['a-telling-name'], binding)).not.toBe(token);
    expect(token).toMatch(/^[A-Za-z0-9_-]+$/);
  });

  it('are refused with any bit changed', () => {
    const bytes = Buffer.from(tokens.seal(['cursor'], binding), 'base64url');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => tokens.open(changed.toString('base64url'), binding), `bit ${bit}`).toThrow(refused);
    }
  });

  it('are refused for another list, another parent, and arguments that only run together the same', () => {
    const token = tokens.seal(['cursor'], binding);
    for (const other of [
      ['secrets', 'instances/i/groups/h'],
      ['groups', binding[1]!],
      ['secretsinstances/i/groups/g'],
      [...binding, ''],
      [],
    ]) {
      expect(() => tokens.open(token, other), String(other)).toThrow(refused);
    }
  });

  it('are refused under another key', () => {
    expect(() => pageTokens(randomBytes(32)).open(tokens.seal(['cursor'], binding), binding)).toThrow(refused);
  });

  it.each(['', 'x', '!!!', 'AAAA', 'A'.repeat(38), 'A'.repeat(3_000), '\u0000'])('are refused when they are none: %j', (token) => {
    expect(() => tokens.open(token, binding)).toThrow(refused);
  });
});

describe('a page', () => {
  it('has 50 items if nothing is asked, at most 1000, and never a negative number', () => {
    expect([0, 1, 50, 1000, 1001, 2 ** 31 - 1].map(pageSize)).toEqual([50, 1, 50, 1000, 1000, 1000]);
    expect(() => pageSize(-1)).toThrow(/page_size: must not be negative/);
  });

  const rows = Array.from({ length: 7 }, (_, i) => String(i));
  const list = (size: number, token: string) =>
    pageOf({
      tokens,
      size,
      token,
      binding,
      first: ['-1'],
      select: async ([after = '-1'], limit) => rows.filter((row) => Number(row) > Number(after)).slice(0, limit),
      cursor: (row) => [row],
      item: (row) => row,
    });

  it.each([1, 2, 3, 6, 7, 8])('after page gives every row once and in order, with pages of %i', async (size) => {
    const seen: string[] = [];
    let pages = 0;
    for (let token = ''; pages === 0 || token !== ''; pages++) {
      const { items, nextPageToken } = await list(size, token);
      expect(items.length).toBeLessThanOrEqual(size);
      seen.push(...items);
      token = nextPageToken;
    }
    expect(seen).toEqual(rows);
    // A full last page is known to be the last: nobody fetches an empty one.
    expect(pages).toBe(Math.ceil(rows.length / size));
  });
});
