// Checks of retention, each error naming the field and the limit. Pure.
import type { Duration } from '../gen/google/protobuf/duration.ts';
import type { RetentionPolicy } from '../gen/strongroom/secrets/v1/instance_service.ts';
import { checkSeconds } from '../kernel/fields.ts';

export interface RetentionLimits {
  defaultSeconds: number;
  minimumSeconds: number;
  maximumSeconds: number;
}

export const checkRetention = (duration: Duration | undefined, field: string, limits: RetentionLimits): number => {
  return duration ? checkSeconds(duration, field, limits.minimumSeconds, limits.maximumSeconds) : limits.defaultSeconds;
};

/** The same for one level of a policy, where absent has a meaning of its own, and so has zero if `zero` says so. */
const checkLevel = (duration: Duration | undefined, field: string, limits: RetentionLimits, zero = false): number | null => {
  if (!duration || (zero && duration.seconds === 0n && duration.nanos === 0)) return null;
  return checkRetention(duration, field, limits);
};

/** Seconds by level; null where the policy says nothing. */
export type RetentionLevels = Readonly<Record<'instance' | 'group' | 'secret' | 'version', number | null>>;

export const checkPolicy = (policy: RetentionPolicy | undefined, field: string, limits: RetentionLimits): RetentionLevels => ({
  instance: checkLevel(policy?.instance, `${field}.instance`, limits),
  group: checkLevel(policy?.group, `${field}.group`, limits),
  secret: checkLevel(policy?.secret, `${field}.secret`, limits),
  version: checkLevel(policy?.version, `${field}.version`, limits, true),
});
