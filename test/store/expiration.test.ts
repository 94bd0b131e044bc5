// When something expires, and when it is rotated: the limits of both, and the times that follow.
import { describe, expect, it } from 'vitest';
import { Generator, Rotation, VersionExpiration } from '../../src/gen/strongroom/secrets/v1/secret_types.ts';
import { assertKeepsRetention, checkExpiration, checkVersionExpiration, namesExpiration } from '../../src/store/expiration.ts';
import { checkRotation, dueIn, recipeOf, retryIn } from '../../src/store/rotation-policy.ts';

const now = new Date('2026-11-25T12:00:00Z');
const at = (seconds: number) => new Date(now.getTime() + seconds * 1_000);
const MOST = 36_500 * 86_400;
const ttl = (seconds: number, nanos = 0) => ({ $case: 'ttl' as const, value: { seconds: BigInt(seconds), nanos } });
const time = (value: Date) => ({ $case: 'expireTime' as const, value });
const refused = (field: string) => expect.objectContaining({ metadata: { field } }) as unknown;

describe('an expiration', () => {
  it('is a time in the future or so many seconds from now, up to 36,500 days', () => {
    expect(checkExpiration(undefined, now)).toBeNull();
    expect(checkExpiration(ttl(1), now)).toEqual(at(1));
    expect(checkExpiration(ttl(MOST), now)).toEqual(at(MOST));
    expect(checkExpiration(time(at(0.001)), now)).toEqual(at(0.001));
    for (const bad of [ttl(0), ttl(-1), ttl(MOST + 1), ttl(1, 1)]) expect(() => checkExpiration(bad, now)).toThrow(refused('secret.ttl'));
    for (const bad of [at(0), at(-1), at(MOST + 1), new Date(NaN)])
      expect(() => checkExpiration(time(bad), now)).toThrow(refused('secret.expire_time'));
  });

  it('of a version may be that of its certificate, if it has one that is still valid', () => {
    const withCertificate = (value: boolean): VersionExpiration => ({ at: { $case: 'withCertificate', value } });
    const details = (seconds: number) => ({ notAfter: at(seconds).toISOString() });
    expect(checkVersionExpiration(withCertificate(true), 'e', now, details(60))).toEqual(at(60));
    for (const [value, known] of [
      [true, null],
      [false, details(60)],
      [true, details(-1)],
    ] as const)
      expect(() => checkVersionExpiration(withCertificate(value), 'e', now, known)).toThrow(refused('e.with_certificate'));
    expect(() => checkVersionExpiration({ at: undefined }, 'e', now, null)).toThrow(refused('e'));
    expect(() => checkVersionExpiration({ at: ttl(0) }, 'e', now, null)).toThrow(refused('e.ttl'));
  });

  it('does not get around the time for which deleted things are kept', () => {
    const allowed: [Date | null, Date | null][] = [
      [null, at(100)],
      [null, null],
      [at(5), null],
      [at(5), at(6)],
      [at(5), at(5)],
      [at(500), at(100)],
    ];
    for (const [before, after] of allowed) expect(() => assertKeepsRetention(before, after, 100, 'e', now)).not.toThrow();
    for (const [before, after] of [
      [null, at(99)],
      [at(50), at(49)],
      [at(500), at(99)],
    ] as const)
      expect(() => assertKeepsRetention(before, after, 100, 'e', now)).toThrow(refused('e'));
  });

  it('is recognised in a mask, which decides what right the update takes', () => {
    expect([['expire_time'], ['labels', 'ttl'], ['expireTime']].map(namesExpiration)).toEqual([true, true, true]);
    expect([undefined, [], ['*'], ['rotation']].map(namesExpiration)).toEqual([false, false, false, false]);
  });
});

describe('a rotation', () => {
  const generator = Generator.fromPartial({ value: { $case: 'text', value: {} } });
  const interval = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 0 });
  const check = (given: Parameters<typeof Rotation.fromPartial>[0], type: 'OPAQUE' | 'USER_CREDENTIALS' = 'OPAQUE') =>
    checkRotation(Rotation.fromPartial(given), type, 3_600);

  it('has a generator, and an interval within bounds if it is automatic', () => {
    expect(check({ generator })?.seconds).toBeNull();
    expect(check({ generator, interval: interval(3_600) })?.seconds).toBe(3_600);
    expect(check({ generator, interval: interval(3_650 * 86_400) })?.seconds).toBe(315_360_000);
    for (const bad of [3_599, 0, -1, 3_650 * 86_400 + 1])
      expect(() => check({ generator, interval: interval(bad) })).toThrow(refused('secret.rotation.interval'));
    expect(() => check({})).toThrow(refused('secret.rotation.generator'));
  });

  it('is refused if its generator is none for the type, or would change the user', () => {
    const credentials = (username: string) => ({ value: { $case: 'userCredentials' as const, value: { username } } });
    expect(() => check({ generator }, 'USER_CREDENTIALS')).toThrow(refused('secret.rotation.generator'));
    expect(() => check({ generator: credentials('') }, 'USER_CREDENTIALS')).not.toThrow();
    expect(() => check({ generator: credentials('app') }, 'USER_CREDENTIALS')).toThrow(
      refused('secret.rotation.generator.user_credentials.username'),
    );
  });

  it('is stored so that it can be made again, and is missed where there is none', () => {
    const policy = check({ generator })!;
    expect(recipeOf('s', { type: 'OPAQUE', generator: policy.generator }).make().bytes).toHaveLength(32);
    expect(() => recipeOf('s', { type: 'OPAQUE', generator: null })).toThrow(
      expect.objectContaining({ reason: 'ROTATION_NOT_CONFIGURED' }),
    );
  });

  it('comes up to a tenth sooner than its interval, never later, and is tried again with growing patience', () => {
    expect([0, 0.5, 1].map((random) => dueIn(1_000, random))).toEqual([1_000, 950, 900]);
    expect([1, 2, 3, 6, 7, 100].map(retryIn)).toEqual([60, 120, 240, 1_920, 3_600, 3_600]);
  });
});
