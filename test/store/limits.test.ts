import { describe, expect, it } from 'vitest';
import { InstanceLimits } from '../../src/gen/strongroom/secrets/v1/limit_service.ts';
import { parseOverrides, toInstanceLimits } from '../../src/store/limits.ts';

const given = {
  readsPerSecond: 1_000_000n,
  writesPerSecond: 1n,
  groupsCount: 0n,
  secretsPerGroupCount: 100_000_000n,
  versionsPerSecretCount: 1_000_000n,
  bytes: 2n ** 50n,
};

describe('the limits of an instance', () => {
  it('come back as they were set', () => {
    const message = InstanceLimits.fromPartial(given);
    expect(toInstanceLimits('instances/a', parseOverrides(message))).toEqual({ ...message, name: 'instances/a' });
  });

  it('that are not set are not there', () => {
    expect(parseOverrides(InstanceLimits.create())).toEqual({});
    expect(parseOverrides(InstanceLimits.fromPartial({ groupsCount: 0n }))).toEqual({ groups: 0 });
  });

  it.each([
    ['reads_per_second', { readsPerSecond: 0n }],
    ['reads_per_second', { readsPerSecond: 1_000_001n }],
    ['writes_per_second', { writesPerSecond: -1n }],
    ['groups_count', { groupsCount: 1_000_001n }],
    ['secrets_per_group_count', { secretsPerGroupCount: 100_000_001n }],
    ['versions_per_secret_count', { versionsPerSecretCount: 1_000_001n }],
    ['bytes', { bytes: 2n ** 50n + 1n }],
    ['bytes', { bytes: -1n }],
  ])('have %s within its range', (field, limits) => {
    expect(() => parseOverrides(InstanceLimits.fromPartial(limits))).toThrow(
      expect.objectContaining({ violations: [expect.objectContaining({ field: `limits.${field}` })] }),
    );
  });
});
