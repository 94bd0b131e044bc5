// When secrets and versions expire: a time or a span as callers give it, and which changes of it are allowed. Pure.
import type { Duration } from '../gen/google/protobuf/duration.ts';
import type { Secret } from '../gen/strongroom/secrets/v1/secret_service.ts';
import type { VersionExpiration } from '../gen/strongroom/secrets/v1/secret_types.ts';
import { AppError, invalid } from '../kernel/errors.ts';
import { checkSeconds, isNamed } from '../kernel/fields.ts';
import { notAfterOf } from './types/certificate.ts';
import type { Details } from './types/type.ts';

const MOST_DAYS = 36_500;
const MOST_SECONDS = MOST_DAYS * 86_400;

const checkTime = (time: Date, field: string, now: Date): Date => {
  const seconds = (time.getTime() - now.getTime()) / 1_000;
  if (!(seconds > 0 && seconds <= MOST_SECONDS)) throw invalid(field, `must be in the future, at most ${MOST_DAYS} days away`);
  return time;
};

const timeAfter = (ttl: Duration, field: string, now: Date): Date =>
  new Date(now.getTime() + 1_000 * checkSeconds(ttl, field, 1, MOST_SECONDS));

/** Null: it does not expire. */
export const checkExpiration = (given: Secret['expiration'], now: Date): Date | null => {
  if (!given) return null;
  return given.$case === 'ttl' ? timeAfter(given.value, 'secret.ttl', now) : checkTime(given.value, 'secret.expire_time', now);
};

/** The same of a version, of which `details` may tell when its certificate expires. */
export const checkVersionExpiration = (
  given: VersionExpiration | undefined,
  field: string,
  now: Date,
  details: Details | null | undefined,
): Date | null => {
  if (!given) return null;
  const { at } = given;
  if (!at) throw invalid(field, 'needs expire_time, ttl or with_certificate');
  if (at.$case === 'ttl') return timeAfter(at.value, `${field}.ttl`, now);
  if (at.$case === 'expireTime') return checkTime(at.value, `${field}.expire_time`, now);
  const notAfter = notAfterOf(details);
  if (!at.value || !notAfter) throw invalid(`${field}.with_certificate`, 'must be true, and is for certificates only');
  return checkTime(notAfter, `${field}.with_certificate`, now);
};

/**
 * Who sets a time on what is there already must not get around the time for which deleted things are kept: it is moved to later, or to
 * at least that far away.
 */
export const assertKeepsRetention = (before: Date | null, after: Date | null, retentionSeconds: number, field: string, now: Date): void => {
  if (after === null || (before !== null && after >= before)) return;
  if (after.getTime() < now.getTime() + retentionSeconds * 1_000)
    throw invalid(
      field,
      `must be at least ${retentionSeconds}s away, for which deleted things are kept; what has to go sooner can be deleted`,
    );
};

/** Of an audit entry. */
export const expiryFact = (time: Date | null): { expireTime?: string } => (time ? { expireTime: time.toISOString() } : {});

/** At its time it is as good as gone; nothing brings it back. */
export const assertUnexpired = (name: string, isExpired: boolean): void => {
  if (isExpired)
    throw new AppError('RESOURCE_EXPIRED', `${name} has expired; it is erased, and there is no way back`, { metadata: { resource: name } });
};

/** Whether an update names the expiration, which takes another right than the other fields. */
export const namesExpiration = (mask: readonly string[] | undefined): boolean => isNamed(mask, ['expire_time', 'ttl']);
