// How long what is deleted stays recoverable: one time for an instance, exceptions by level, and what purge protection says
// of changes. Pure.
import type { RetentionLevels } from './fields.ts';
import type { InstanceRow } from './sql/instances.ts';
import { purgeProtected } from './state.ts';

export type Retention = Pick<
  InstanceRow,
  'retention_seconds' | 'instance_retention_seconds' | 'group_retention_seconds' | 'secret_retention_seconds' | 'version_retention_seconds'
>;

export const levelsOf = (seconds: number, levels: RetentionLevels): Retention => ({
  retention_seconds: seconds,
  instance_retention_seconds: levels.instance,
  group_retention_seconds: levels.group,
  secret_retention_seconds: levels.secret,
  version_retention_seconds: levels.version,
});

/** What counts at each level. */
const effective = (r: Retention): Record<keyof RetentionLevels, number> => ({
  instance: r.instance_retention_seconds ?? r.retention_seconds,
  group: r.group_retention_seconds ?? r.retention_seconds,
  secret: r.secret_retention_seconds ?? r.retention_seconds,
  version: r.version_retention_seconds ?? 0,
});

/** Throws if an instance with purge protection would protect less than it did. */
export const assertProtects = (
  name: string,
  before: Retention & Pick<InstanceRow, 'purge_protection'>,
  after: Retention & Pick<InstanceRow, 'purge_protection'>,
): void => {
  if (!before.purge_protection) return;
  if (!after.purge_protection) throw purgeProtected(name, 'it cannot be taken off');
  const [was, becomes] = [effective(before), effective(after)];
  const shorter = (Object.keys(was) as (keyof RetentionLevels)[]).find((level) => becomes[level] < was[level]);
  if (shorter)
    throw purgeProtected(name, `the retention of its ${shorter} level may grow from ${was[shorter]}s, not shrink to ${becomes[shorter]}s`);
};
