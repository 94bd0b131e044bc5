import { describe, expect, it } from 'vitest';
import { KeepPolicy } from '../../src/gen/strongroom/secrets/v1/keep_policy.ts';
import { namesPolicy, parseKeepPolicy, policyOf, toKeepPolicy } from '../../src/store/keep-policy.ts';

const DAY = 86_400;
const parse = (given: Parameters<typeof KeepPolicy.fromPartial>[0]) => parseKeepPolicy(KeepPolicy.fromPartial(given), 'p');
const seconds = (value: number) => ({ seconds: BigInt(value), nanos: 0 });

describe('a keep policy', () => {
  it('has limits, and a least age of a day unless it says otherwise or its largest age is less', () => {
    expect(parse({ maxVersions: 5 })).toEqual({ maxVersions: 5, maxAge: null, minAge: DAY });
    expect(parse({ maxAge: seconds(30 * DAY) })).toEqual({ maxVersions: null, maxAge: 30 * DAY, minAge: DAY });
    expect(parse({ maxAge: seconds(60) })).toEqual({ maxVersions: null, maxAge: 60, minAge: 60 });
    expect(parse({ maxVersions: 1, minAge: seconds(0) })).toEqual({ maxVersions: 1, maxAge: null, minAge: 0 });
    expect(parseKeepPolicy(undefined, 'p')).toBeNull();
  });

  it.each([
    ['p.max_versions', { maxVersions: -1 }],
    ['p.max_versions', { maxVersions: 10_001 }],
    ['p.max_age', { maxAge: seconds(0) }],
    ['p.max_age', { maxAge: { seconds: 1n, nanos: 1 } }],
    ['p.max_age', { maxAge: seconds(3_650 * DAY + 1) }],
    ['p.min_age', { minAge: seconds(-1) }],
    ['p.min_age', { maxAge: seconds(60), minAge: seconds(61) }],
    ['p.min_age', { minAge: seconds(3_650 * DAY + 1) }],
  ])('is refused at %s: %o', (field, given) => {
    expect(() => parse(given)).toThrow(expect.objectContaining({ reason: 'INVALID_FIELD', metadata: { field } }));
  });

  it('is shown as it is understood', () => {
    expect(toKeepPolicy(parse({ maxVersions: 3 }))).toEqual({ maxVersions: 3, maxAge: undefined, minAge: seconds(DAY) });
    expect(toKeepPolicy(parse({ maxAge: seconds(9) }))).toEqual({ maxVersions: 0, maxAge: seconds(9), minAge: seconds(9) });
    expect(toKeepPolicy(null)).toBeUndefined();
  });

  it('of a secret counts before that of its group, also if it keeps everything', () => {
    const [five, all] = [parse({ maxVersions: 5 }), parse({})];
    expect(policyOf({ keep_policy: null, group_keep_policy: five })).toBe(five);
    expect(policyOf({ keep_policy: all, group_keep_policy: five })).toBeNull();
    expect(policyOf({ keep_policy: null, group_keep_policy: null })).toBeNull();
  });

  it('is changed by an update that names it, and by no other', () => {
    expect([['keep_policy'], ['labels', 'keepPolicy']].map(namesPolicy)).toEqual([true, true]);
    expect([['*'], ['labels'], [], undefined].map(namesPolicy)).toEqual([false, false, false, false]);
  });
});
