// Checks of root key and grant fields, each error naming the field and the limit. Pure; `now` is an argument.
import type { Duration } from '../gen/google/protobuf/duration.ts';
import { Role as RoleMessage } from '../gen/strongroom/keys/v1/grant_service.ts';
import type { RotationPolicy } from '../gen/strongroom/keys/v1/key_service.ts';
import { invalid } from '../kernel/errors.ts';
import { checkLabels, checkSeconds, checkText } from '../kernel/fields.ts';
import { ROLES } from './access.ts';
import { parseId } from './names.ts';

const DAY = 86_400;
const DEFAULT_WAIT = 7 * DAY;
const LONGEST_WAIT = 90 * DAY;
const LONGEST_INTERVAL = 3_650 * DAY;
const MAX_ALIASES = 5;

interface Described {
  displayName: string;
  description: string;
  labels: ReadonlyMap<string, string>;
}

export const checkDescribed = (given: Described, field: string) => ({
  display_name: checkText(given.displayName, `${field}.display_name`, 63),
  description: checkText(given.description, `${field}.description`, 1024),
  labels: checkLabels(given.labels, `${field}.labels`),
});

/** In seconds. */
export const checkWait = (duration: Duration | undefined): number =>
  duration ? checkSeconds(duration, 'wait', DAY, LONGEST_WAIT) : DEFAULT_WAIT;

/** In seconds; null without a policy. */
export const checkRotation = (policy: RotationPolicy | undefined, field: string, leastSeconds: number): bigint | null => {
  if (!policy) return null;
  if (!policy.interval) throw invalid(`${field}.interval`, 'is required');
  return BigInt(checkSeconds(policy.interval, `${field}.interval`, leastSeconds, LONGEST_INTERVAL));
};

export const checkExpiry = (time: Date | undefined, field: string, now: number): Date | null => {
  if (time && time.getTime() <= now) throw invalid(field, 'must be in the future');
  return time ?? null;
};

export const checkAliases = (aliases: readonly string[], field: string, keyId: string): string[] => {
  if (aliases.length > MAX_ALIASES) throw invalid(field, `has ${aliases.length} aliases; at most ${MAX_ALIASES} are taken`);
  for (const alias of aliases) if (parseId(alias, field) === keyId) throw invalid(field, 'has the ID of the key itself');
  return [...new Set(aliases)].sort();
};

/** Why something is forced: required then. */
export const checkReason = (reason: string, forced: boolean): string => {
  // The log takes no line ends.
  const text = checkText(reason, 'reason', 1024).replaceAll(/\s+/g, ' ').trim();
  if (forced && text === '') throw invalid('reason', 'is required with force: 1 to 1024 characters that say why');
  return text;
};

export const parseRole = (message: RoleMessage, field: string): (typeof ROLES)[number] => {
  const role = ROLES.find((r) => RoleMessage[r] === message);
  if (!role) throw invalid(field, `must be one of ${ROLES.map((r) => `ROLE_${r}`).join(', ')}`);
  return role;
};
