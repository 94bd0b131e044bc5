import { describe, expect, it } from 'vitest';
import { checkAnnotations, checkLabels, checkMask, checkRequestId, checkText, checkUuid } from '../../src/kernel/fields.ts';
import { checkRetention } from '../../src/store/fields.ts';

const refused = (field: string, reason = 'INVALID_FIELD') =>
  expect.objectContaining({ reason, violations: [expect.objectContaining({ field })] });
const map = (entries: Record<string, string>) => new Map(Object.entries(entries));

describe('a text field', () => {
  it('may have exactly as many characters as its limit, an emoji counting as one', () => {
    expect(checkText('x'.repeat(256), 'display_name', 256)).toHaveLength(256);
    expect([...checkText('😀'.repeat(256), 'display_name', 256)]).toHaveLength(256);
    expect(() => checkText('x'.repeat(257), 'display_name', 256)).toThrow(refused('display_name'));
    expect(() => checkText('😀'.repeat(257), 'display_name', 256)).toThrow(/256 characters/);
  });

  it('is stored in NFC, and keeps to its limit there', () => {
    expect(checkText('e\u0301', 'description', 1)).toBe('\u00e9');
    // U+0958 is two characters in NFC.
    expect(() => checkText('\u0958'.repeat(10), 'description', 10)).toThrow(refused('description'));
  });

  it('may have lines and tabs, but no other control character', () => {
    expect(checkText('a\tb\r\nc', 'description', 10)).toBe('a\tb\r\nc');
    for (const bad of ['\u0000', '\u0007', '\u000b', '\u001b', '\u007f']) {
      expect(() => checkText(`a${bad}`, 'description', 10), JSON.stringify(bad)).toThrow(refused('description'));
    }
  });
});

describe('labels', () => {
  it('may be 64, with keys and values of 63 characters', () => {
    const full = map(Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`k${'x'.repeat(60)}${10 + i}`, 'v'.repeat(63)])));
    expect(Object.keys(checkLabels(full, 'labels'))).toHaveLength(64);
    expect(() => checkLabels(full.set('one-more', ''), 'labels')).toThrow(/65 entries; at most 64/);
  });

  it.each(['', 'A', '1a', '_a', 'a.b', 'a b', 'é', `k${'x'.repeat(63)}`, '__proto__'])('refuse the key %j', (key) => {
    expect(() => checkLabels(new Map([[key, 'v']]), 'secret.labels')).toThrow(refused('secret.labels'));
  });

  it.each(['a b', 'é', 'v'.repeat(64), 'a/b', '\u0000'])('refuse the value %j and name the key', (value) => {
    expect(() => checkLabels(map({ team: value }), 'labels')).toThrow(refused('labels.team'));
  });

  it('with a key that every object has are kept as labels', () => {
    expect(checkLabels(map({ constructor: 'x' }), 'labels')).toEqual(Object.fromEntries([['constructor', 'x']]));
  });
});

describe('annotations', () => {
  it('may be any text of 1024 characters', () => {
    const value = '😀'.repeat(1024);
    expect(checkAnnotations(map({ note: value }), 'annotations')).toEqual({ note: value });
    expect(() => checkAnnotations(map({ note: `${value}x` }), 'annotations')).toThrow(refused('annotations.note'));
  });

  it('refuse U+0000, which PostgreSQL cannot store, as the caller’s mistake and not as an internal error', () => {
    expect(() => checkAnnotations(map({ note: 'a\u0000' }), 'annotations')).toThrow(refused('annotations.note'));
  });
});

describe('retention', () => {
  const limits = { defaultSeconds: 604_800, minimumSeconds: 5, maximumSeconds: 7_776_000 };
  const of = (seconds: bigint, nanos = 0) => checkRetention({ seconds, nanos }, 'instance.retention', limits);

  it('is the default if none is given, else whole seconds from the minimum to the maximum', () => {
    expect(checkRetention(undefined, 'instance.retention', limits)).toBe(604_800);
    expect(of(5n)).toBe(5);
    expect(of(7_776_000n)).toBe(7_776_000);
  });

  it.each([
    [4n, 0],
    [7_776_001n, 0],
    [-5n, 0],
    [0n, 0],
    [5n, 1],
    [2n ** 62n, 0],
  ] as const)('is refused as %d s and %d ns', (seconds, nanos) => {
    expect(() => of(seconds, nanos)).toThrow(refused('instance.retention'));
  });
});

describe('request ids and uids', () => {
  const uuid = '0190A5C0-0000-7000-8000-00000000000A';
  it('are UUIDs, the same in upper and lower case; a request id may be absent', () => {
    expect(checkRequestId(uuid)).toBe(uuid.toLowerCase());
    expect(checkRequestId('')).toBe('');
    expect(checkUuid(uuid, 'uid')).toBe(uuid.toLowerCase());
  });

  it.each(['x', uuid.slice(1), `${uuid}0`, uuid.replaceAll('-', ''), `{${uuid}}`, `${uuid}\n`])('are refused as %j', (text) => {
    expect(() => checkRequestId(text)).toThrow(refused('request_id'));
    expect(() => checkUuid(text, 'uid')).toThrow(refused('uid', 'MALFORMED_NAME'));
  });

  it('may not be empty where a uid is wanted', () => {
    expect(() => checkUuid('', 'uid')).toThrow(refused('uid', 'MALFORMED_NAME'));
  });
});

describe('an update mask', () => {
  const known = ['display_name', 'labels'] as const;
  const populated = (field: string) => field === 'labels';

  it('means the fields it names, in either spelling; all with a star; the populated ones when absent', () => {
    expect(checkMask(['labels', 'display_name'], known, populated)).toEqual(['labels', 'display_name']);
    expect(checkMask(['displayName'], known, populated)).toEqual(['display_name']);
    expect(checkMask(['*'], known, populated)).toEqual(['display_name', 'labels']);
    expect(checkMask(undefined, known, populated)).toEqual(['labels']);
    expect(checkMask([], known, populated)).toEqual(['labels']);
  });

  it.each([['name'], ['uid'], [''], ['labels.team'], ['Labels'], ['display_name,labels'], ['constructor']])(
    'refuses the path %j and names the known ones',
    (path) => {
      expect(() => checkMask(['labels', path], known, populated)).toThrow(refused('update_mask', 'UNKNOWN_MASK_PATH'));
      expect(() => checkMask([path], known, populated)).toThrow(/display_name, labels/);
    },
  );

  it('refuses a star beside other paths', () => {
    expect(() => checkMask(['*', 'labels'], known, populated)).toThrow(refused('update_mask', 'UNKNOWN_MASK_PATH'));
  });
});
