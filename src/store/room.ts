// Whether there is room for more: groups, secrets, versions and bytes, against the limits of their instance. Looked at before a
// change begins, so that counting makes nobody wait: writers that are under way at the same moment may go over a limit together,
// by what they add; afterwards nobody adds anything. Versions of a secret are numbered one after another, and exact.
import { AppError } from '../kernel/errors.ts';
import { metrics } from '../kernel/metrics.ts';
import { tooMuch, type InstanceLimits } from './limits.ts';
import { groupName, instanceName, secretName, type GroupPath, type InstancePath, type SecretPath } from './names.ts';
import type { SecretRow } from './sql/secrets.ts';
import { countGroups, countVersions, selectRoom } from './sql/usage.ts';
import type { Store } from './store.ts';

const limitsOf = async (store: Store, path: InstancePath): Promise<InstanceLimits> =>
  (await store.instances.of(path))?.limits ?? store.limits.instance;

const assertWithin = (limit: keyof InstanceLimits, value: number, used: number, more: number, resource: string): void => {
  if (used + more <= value) return;
  const error: AppError = tooMuch(`instance.${limit}`, value, used, resource);
  metrics.limitedCalls.inc({ limit: `instance.${limit}` });
  throw error;
};

export const assertRoomForGroup = async (store: Store, path: InstancePath, instanceUid: string): Promise<void> => {
  const { groups } = await limitsOf(store, path);
  assertWithin('groups', groups, await countGroups(store.db.read, instanceUid), 1, instanceName(path));
};

/** For a payload of so many bytes, and `secrets` more in the group; whether that is there is for others to say. */
export const assertRoom = async (store: Store, path: GroupPath, { bytes, secrets }: { bytes: number; secrets: number }): Promise<void> => {
  const [limits, used] = await Promise.all([limitsOf(store, path), selectRoom(store.db.read, path)]);
  if (!used) return;
  if (secrets > 0) assertWithin('secretsPerGroup', limits.secretsPerGroup, Number(used.secrets), secrets, groupName(path));
  if (bytes > 0) assertWithin('bytes', limits.bytes, Number(used.bytes), bytes, instanceName(path));
};

/** A secret that never had so many versions need not be counted. */
export const assertRoomForVersion = async (store: Store, path: SecretPath, row: SecretRow): Promise<void> => {
  const { versionsPerSecret } = await limitsOf(store, path);
  if (row.latest_version < versionsPerSecret) return;
  assertWithin('versionsPerSecret', versionsPerSecret, await countVersions(store.db.read, row), 1, secretName(path));
};
