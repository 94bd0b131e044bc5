// How many versions of a secret are kept: what callers say, checked, and whose word counts. Pure.
import type { KeepPolicy as Message } from '../gen/strongroom/secrets/v1/keep_policy.ts';
import { invalid } from '../kernel/errors.ts';
import { checkSeconds, durationOf, isNamed } from '../kernel/fields.ts';

/** As it is stored; ages in seconds, null is no limit. */
export interface KeepPolicy {
  readonly maxVersions: number | null;
  readonly maxAge: number | null;
  readonly minAge: number;
}

const DAY = 86_400;
const LONGEST = 3_650 * DAY;
const MOST = 10_000;

export const parseKeepPolicy = (given: Message | undefined, field: string): KeepPolicy | null => {
  if (!given) return null;
  const { maxVersions } = given;
  if (maxVersions < 0 || maxVersions > MOST) throw invalid(`${field}.max_versions`, `must be from 1 to ${MOST}, or 0 for no limit`);
  const maxAge = given.maxAge ? checkSeconds(given.maxAge, `${field}.max_age`, 1, LONGEST) : null;
  const longest = maxAge ?? LONGEST;
  const minAge = given.minAge ? checkSeconds(given.minAge, `${field}.min_age`, 0, longest) : Math.min(DAY, longest);
  return { maxVersions: maxVersions === 0 ? null : maxVersions, maxAge, minAge };
};

/** Whether an update names it. Versions are destroyed by it, which is a Manager's right. */
export const namesPolicy = (mask: readonly string[] | undefined): boolean => isNamed(mask, ['keep_policy']);

export const toKeepPolicy = (policy: KeepPolicy | null): Message | undefined =>
  policy
    ? {
        maxVersions: policy.maxVersions ?? 0,
        maxAge: policy.maxAge === null ? undefined : durationOf(policy.maxAge),
        minAge: durationOf(policy.minAge),
      }
    : undefined;

/** What counts for a secret; null if it keeps everything. */
export const policyOf = (secret: { keep_policy: KeepPolicy | null; group_keep_policy: KeepPolicy | null }): KeepPolicy | null => {
  const policy = secret.keep_policy ?? secret.group_keep_policy;
  return policy && (policy.maxVersions !== null || policy.maxAge !== null) ? policy : null;
};
