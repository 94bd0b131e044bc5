// Commitments to private fields: what a second implementation has to compute, and what no guess can.
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { draftOf, leafOf, recordOfLeaf } from '../../src/audit/event.ts';
import { commitmentOf, freshKeys, openingsOf, withPrivate } from '../../src/audit/private.ts';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';

const source = parseSpiffeId('spiffe://strongroom.internal/service/store')!;
const event = (sourceAddress: string): Event =>
  Event.fromPartial({
    eventId: '0190a5c0-0000-7000-8000-000000000001',
    occurTime: new Date(0),
    action: 'secrets.secret.read',
    principal: source,
    outcome: 1,
    sourceAddress,
  });

describe('a commitment', () => {
  it('is HMAC-SHA-256 over label, name and value, each behind its length, as docs/formats.md has it', () => {
    const key = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
    const message = Buffer.from('strongroom/private/v1\0\0\0\0\x0esource_address\0\0\0\x0f2001:db8::1%en0');
    const expected = createHmac('sha256', key).update(message).digest();
    expect(commitmentOf({ field: 'source_address', value: '2001:db8::1%en0', key })).toEqual(expected);
    expect(expected.toString('hex')).toBe('2f579a92d6b800e0efe76c7c01aab3095e08b456ab8c930575054996539fd297');
  });

  it.each([0, 1, 63, 64, 200, 5_000])('to a value of %i bytes is the HMAC that the standard library computes', (length) => {
    const [key, value] = [freshKeys(1)(), 'é'.repeat(length / 2)];
    const bytes = (text: string) => {
      const utf8 = Buffer.from(text);
      return Buffer.concat([Buffer.from([utf8.length >>> 24, utf8.length >>> 16, utf8.length >>> 8, utf8.length]), utf8]);
    };
    const message = Buffer.concat([Buffer.from('strongroom/private/v1\0'), bytes('a'), bytes(value)]);
    expect(commitmentOf({ field: 'a', value, key })).toEqual(createHmac('sha256', key).update(message).digest());
  });

  it('takes no other pair of name and value for its own', () => {
    const key = Buffer.alloc(32, 1);
    const pairs = [
      ['a', 'bc'],
      ['ab', 'c'],
      ['abc', ''],
      ['', 'abc'],
      ['a', 'b'],
      ['a', 'bc\0'],
    ] as const;
    expect(new Set(pairs.map(([field, value]) => commitmentOf({ field, value, key }).toString('hex'))).size).toBe(pairs.length);
  });
});

describe('a private field', () => {
  it('has a key of its own in every entry, so that equal values do not show', () => {
    const keys = freshKeys(2);
    const leaves = [event('10.0.0.1'), event('10.0.0.1')].map((one) => leafOf(draftOf(one, source), new Date(0), openingsOf(one, keys)));
    const [first, second] = leaves.map((leaf) => recordOfLeaf(leaf).commitments.get('source_address'));
    expect(first).toHaveLength(32);
    expect(first).not.toEqual(second);
    for (const leaf of leaves) expect(leaf.toString('utf8')).not.toContain('10.0.0.1');
  });

  it('comes back with its opening, and without it is empty', () => {
    const one = event('10.0.0.1');
    expect(withPrivate(event(''), openingsOf(one, freshKeys(1)))).toEqual(one);
    expect(withPrivate(event(''), [])).toEqual(event(''));
  });

  it('that an event does not have leaves nothing in the leaf', () => {
    const one = event('');
    expect(openingsOf(one, freshKeys(1))).toEqual([]);
    expect(leafOf(draftOf(one, source), new Date(0), []).toString('utf8')).not.toContain('private');
  });
});
