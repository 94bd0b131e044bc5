import { describe, expect, it } from 'vitest';
import { FORMATS } from '../../src/import/formats.ts';

const [dotenv, vault] = [FORMATS['dotenv']!, FORMATS['vault-kv2']!];
const pairs = (text: string) => dotenv(text).map(({ name, value }) => [name, value]);

describe('a dotenv file', () => {
  it.each([
    ['A=b', [['A', 'b']]],
    [
      'A=b\nC=d\n',
      [
        ['A', 'b'],
        ['C', 'd'],
      ],
    ],
    [
      'A=b\r\nC=d\r\n',
      [
        ['A', 'b'],
        ['C', 'd'],
      ],
    ],
    ['  export A = b c  ', [['A', 'b c']]],
    ['# A=b\n\n \t\nC=d # a comment', [['C', 'd']]],
    ['A=b#c', [['A', 'b#c']]],
    ['A=', [['A', '']]],
    ['A=#c', [['A', '']]],
    [
      'A=\nB=c',
      [
        ['A', ''],
        ['B', 'c'],
      ],
    ],
    ["A='b # $C \\n'  # a comment", [['A', 'b # $C \\n']]],
    ['A="b\\n\\"c\\" \\\\ \\$D \\x"', [['A', 'b\n"c" \\ $D \\x']]],
    [
      'A="-----BEGIN\n=x=\n-----END"\nB=c',
      [
        ['A', '-----BEGIN\n=x=\n-----END'],
        ['B', 'c'],
      ],
    ],
    ["A='b\n\nc'", [['A', 'b\n\nc']]],
    ['A=$HOME/${B}', [['A', '$HOME/${B}']]],
    ['A.b-c_1=ключ 🔑', [['A.b-c_1', 'ключ 🔑']]],
    ['A=a=b==', [['A', 'a=b==']]],
    ['', []],
  ])('%j is read', (text, expected) => {
    expect(pairs(text)).toEqual(expected);
  });

  it.each([
    ['A=b\nC', 'line 2 is not NAME=value'],
    ['=hush', 'line 1 is not NAME=value'],
    ['1A=hush', 'line 1 is not NAME=value'],
    ['A="hush\nB=c', 'the quote that begins in line 1 has no end'],
    ["\n\nA='hush", 'the quote that begins in line 3 has no end'],
    ['A="hush" more', 'line 1 goes on after its value'],
  ])('%j is refused by line, without what is in it', (text, message) => {
    expect(() => dotenv(text)).toThrow(message);
    expect(() => dotenv(text)).not.toThrow(/hush/);
  });

  it('of many lines is read in time', () => {
    const start = performance.now();
    expect(dotenv('A="b"\n'.repeat(5_000))).toHaveLength(5_000);
    expect(performance.now() - start).toBeLessThan(2_000);
  });
});

describe('a dump of Vault', () => {
  const data = { password: 'p', username: 'u' };

  it('is read whether it has whole answers or their data, each path as named texts', () => {
    const answer = { request_id: 'x', data: { data: { username: 'u', password: 'p' }, metadata: { version: 1 } } };
    expect(vault(JSON.stringify({ 'apps/a': answer, 'apps/b': answer.data }))).toEqual([
      { name: 'apps/a', value: JSON.stringify(data), entries: data },
      { name: 'apps/b', value: JSON.stringify(data), entries: data },
    ]);
  });

  it('with numbers or nested values, pairs named data and metadata among them, is one JSON text with sorted keys', () => {
    const inner = { data: { x: 1 }, metadata: 'm', n: [1, null] };
    expect(vault(JSON.stringify({ a: { data: inner, metadata: {} } }))).toEqual([{ name: 'a', value: JSON.stringify(inner) }]);
  });

  it.each([
    ['{"a": "hush"', 'not JSON'],
    ['[]', 'must be a JSON object'],
    ['{"a": {"password": "hush"}}', '"a" has no "data"'],
    ['{"a": {"data": null, "metadata": {"deletion_time": "hush"}}}', 'not deleted'],
    ['{"a": {"data": {"k": "hush"}}}', '"a" has no "data"'],
  ])('%j is refused, without what is in it', (text, message) => {
    expect(() => vault(text)).toThrow(message);
    expect(() => vault(text)).not.toThrow(/hush/);
  });
});
