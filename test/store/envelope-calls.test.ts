// The envelope and its key service: what a slow, a refusing and a busy key service mean for a payload. The key service here
// is our own interface, because it has to answer late and wrong on demand.
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AppError } from '../../src/kernel/errors.ts';
import type { Call } from '../../src/kernel/table.ts';
import { openEnvelope, sealWith, type Place } from '../../src/store/envelope.ts';

type Keys = Parameters<typeof openEnvelope>[0];
type Unwrap = Keys['batchUnwrapDeks'];

const place: Place = {
  instanceUid: '0190a5c0-1111-7000-8000-00000000000a',
  groupUid: '0190a5c0-2222-7000-8000-00000000000b',
  secretUid: '0190a5c0-3333-7000-8000-00000000000c',
  version: 1,
};
const value = Buffer.from('a value');
const wrappedDek = Buffer.from('wrapped');
const call = (): Call =>
  ({ principal: 'spiffe://t/app', resource: 'r', facts: {}, correlationId: 'c', deadline: Date.now() + 5_000 }) as unknown as Call;

const keysThat = (methods: Partial<Pick<Keys, 'batchUnwrapDeks' | 'batchGenerateDeks'>>): Keys => methods as Keys;
const answering =
  (deks: readonly Buffer[], before: () => void = () => undefined): Unwrap =>
  async () => {
    before();
    return { results: deks.map((dek) => ({ outcome: { $case: 'response' as const, value: { dek, wrappedDek: Buffer.alloc(0) } } })) };
  };

describe('opening a payload', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
  afterEach(() => void vi.useRealTimers());

  it('gives the value, and wipes the key it was given', async () => {
    const dek = randomBytes(32);
    const sealed = sealWith(dek, place, value);
    expect(await openEnvelope(keysThat({ batchUnwrapDeks: answering([dek]) })).open(place, { wrappedDek, sealed }, call())).toEqual(value);
    expect(dek.equals(Buffer.alloc(32))).toBe(true);
  });

  it('wipes the key also when the payload does not open', async () => {
    const dek = randomBytes(32);
    const sealed = sealWith(randomBytes(32), place, value);
    const opening = openEnvelope(keysThat({ batchUnwrapDeks: answering([dek]) })).open(place, { wrappedDek, sealed }, call());
    await expect(opening).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
    expect(dek.equals(Buffer.alloc(32))).toBe(true);
  });

  it.each([
    [499, 'gives the value'],
    [501, 'KEYS_UNAVAILABLE'],
  ])('of an answer that took %i ms: %s, since the key may have been disabled meanwhile', async (ms, expected) => {
    const dek = randomBytes(32);
    const sealed = sealWith(dek, place, value);
    const slow = keysThat({ batchUnwrapDeks: answering([dek], () => vi.advanceTimersByTime(ms)) });
    const outcome = await openEnvelope(slow)
      .open(place, { wrappedDek, sealed }, call())
      .then(
        () => 'gives the value',
        (error: AppError) => error.reason,
      );
    expect(outcome).toBe(expected);
    expect(dek.equals(Buffer.alloc(32))).toBe(true);
  });

  it('reports a wrapped key that does not open as lost data: the caller sent no ciphertext', async () => {
    const refusing: Unwrap = async () => ({
      results: [
        {
          outcome: {
            $case: 'error' as const,
            value: { code: 3, reason: 'CIPHERTEXT_INVALID', message: 'does not open', metadata: new Map() },
          },
        },
      ],
    });
    const opening = openEnvelope(keysThat({ batchUnwrapDeks: refusing })).open(place, { wrappedDek, sealed: Buffer.alloc(40) }, call());
    await expect(opening).rejects.toMatchObject({ reason: 'DATA_CORRUPTED', code: 'DATA_LOSS' });
  });

  it('passes on why a key cannot be used, to the one caller it concerns', async () => {
    const dek = randomBytes(32);
    const mixed: Unwrap = async ({ requests }) => ({
      results: requests.map((_, i) =>
        i === 0
          ? {
              outcome: {
                $case: 'error' as const,
                value: { code: 9, reason: 'SCOPE_DESTROYED', message: 'gone', metadata: new Map([['scope', 'scopes/x']]) },
              },
            }
          : { outcome: { $case: 'response' as const, value: { dek, wrappedDek: Buffer.alloc(0) } } },
      ),
    });
    const envelope = openEnvelope(keysThat({ batchUnwrapDeks: mixed }));
    const sealed = sealWith(dek, place, value);
    const [gone, fine] = await Promise.allSettled([
      envelope.open(place, { wrappedDek, sealed }, call()),
      envelope.open(place, { wrappedDek, sealed }, call()),
    ]);
    expect(gone).toMatchObject({ status: 'rejected', reason: { reason: 'SCOPE_DESTROYED' } });
    expect(fine).toEqual({ status: 'fulfilled', value });
  });

  it('asks for many payloads at once in one call', async () => {
    const deks = Array.from({ length: 20 }, () => randomBytes(32));
    const sealed = deks.map((dek) => sealWith(dek, place, value));
    let calls = 0;
    const envelope = openEnvelope(keysThat({ batchUnwrapDeks: answering(deks, () => calls++) }));
    const opened = await Promise.all(sealed.map((one) => envelope.open(place, { wrappedDek, sealed: one }, call())));
    expect(opened.every((one) => one.equals(value))).toBe(true);
    expect(calls).toBe(1);
  });
});

describe('sealing a payload', () => {
  it('uses the new key once, keeps only its wrapped form and wipes it', async () => {
    const dek = randomBytes(32);
    const copy = Buffer.from(dek);
    const keys = keysThat({
      batchGenerateDeks: async () => ({ results: [{ outcome: { $case: 'response' as const, value: { dek, wrappedDek } } }] }),
    });
    const stored = await openEnvelope(keys).seal(place, value, call());
    expect(stored.wrappedDek).toEqual(wrappedDek);
    expect(stored.sealed.includes(value)).toBe(false);
    expect(dek.equals(Buffer.alloc(32))).toBe(true);
    expect(await openEnvelope(keysThat({ batchUnwrapDeks: answering([copy]) })).open(place, stored, call())).toEqual(value);
  });
});
