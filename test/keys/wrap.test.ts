import { createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { contextOf, unwrapKey, wrapKey } from '../../src/keys/wrap.ts';

describe('the wrap of one key by another', () => {
  const [kek, plain] = [randomBytes(32), randomBytes(32)];
  const context = contextOf('test/v1', Buffer.of(1));

  it('derives its one-time key and its commitment by HKDF-SHA-256, as RFC 5869 has it', () => {
    const salt = randomBytes(32);
    const prk = createHmac('sha256', salt).update(kek).digest();
    const first = createHmac('sha256', prk).update(context).update(Buffer.of(1)).digest();
    const second = createHmac('sha256', prk).update(first).update(context).update(Buffer.of(2)).digest();
    expect(wrapKey(kek, plain, context, salt).subarray(32, 64)).toEqual(second);
    expect(Buffer.from(hkdfSync('sha256', kek, salt, context, 64)).subarray(32)).toEqual(second);
  });

  it('commits to the wrapping key: the same bytes open under no other', () => {
    const wrapped = wrapKey(kek, plain, context);
    expect(unwrapKey(randomBytes(32), wrapped, context)).toBeUndefined();
    expect(unwrapKey(kek, wrapped, context)).toEqual(plain);
  });

  it('never wraps with the same one-time key twice', () => {
    const salts = new Set(Array.from({ length: 200 }, () => wrapKey(kek, plain, context).subarray(0, 32).toString('hex')));
    expect(salts.size).toBe(200);
  });

  it('keeps labels apart that would run into the fields behind them', () => {
    expect(contextOf('ab', Buffer.from('c'))).not.toEqual(contextOf('a', Buffer.from('bc')));
  });
});
