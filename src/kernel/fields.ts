// Checks of metadata fields, each error naming the field and the limit. Pure.
import type { Duration } from '../gen/google/protobuf/duration.ts';
import { invalid } from './errors.ts';
import { parseSpiffeId, type SpiffeId } from './identity.ts';

const KEY = /^[a-z][a-z0-9_-]{0,62}$/;
const LABEL_VALUE = /^[a-zA-Z0-9._-]{0,63}$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** But tab, line feed and carriage return. PostgreSQL takes no U+0000. */
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/;

// Characters, not code units; a short text needs no counting.
const isLonger = (text: string, limit: number): boolean => text.length > limit && [...text].length > limit;

export const checkText = (text: string, field: string, limit: number): string => {
  const normal = text.normalize('NFC');
  if (isLonger(normal, limit)) throw invalid(field, `has more than ${limit} characters`);
  if (CONTROL.test(normal)) throw invalid(field, 'has control characters');
  return normal;
};

const checkMap = (
  map: ReadonlyMap<string, string>,
  field: string,
  valueOk: (value: string) => boolean,
  rule: string,
): Record<string, string> => {
  if (map.size > 64) throw invalid(field, `has ${map.size} entries; at most 64 are taken`);
  for (const [key, value] of map) {
    if (!KEY.test(key)) throw invalid(field, 'has a key that is not 1 to 63 characters of a-z, 0-9, _ and -, starting with a letter');
    if (!valueOk(value)) throw invalid(`${field}.${key}`, rule);
  }
  return Object.fromEntries(map);
};

export const checkLabels = (map: ReadonlyMap<string, string>, field: string): Record<string, string> =>
  checkMap(map, field, (value) => LABEL_VALUE.test(value), 'is not at most 63 characters of a-z, A-Z, 0-9, ., _ and -');

export const checkAnnotations = (map: ReadonlyMap<string, string>, field: string): Record<string, string> =>
  checkMap(map, field, (value) => !isLonger(value, 1024) && !CONTROL.test(value), 'has more than 1024 characters, or control characters');

export const durationOf = (seconds: number | bigint): Duration => ({ seconds: BigInt(seconds), nanos: 0 });

/** Whole seconds within limits. */
export const checkSeconds = (duration: Duration, field: string, least: number, most: number): number => {
  const seconds = Number(duration.seconds);
  if (duration.nanos !== 0 || seconds < least || seconds > most) throw invalid(field, `must be whole seconds from ${least}s to ${most}s`);
  return seconds;
};

export const parsePrincipal = (text: string, field: string): SpiffeId => {
  const id = parseSpiffeId(text);
  if (!id) throw invalid(field, 'must be a SPIFFE ID, spiffe://trust.domain/path, of at most 2048 bytes');
  return id;
};

/** UUID or empty. */
export const checkRequestId = (text: string): string => {
  if (text !== '' && !UUID.test(text)) throw invalid('request_id', 'is not a UUID');
  return text.toLowerCase();
};

export const checkUuid = (text: string, field: string): string => {
  if (!UUID.test(text)) throw invalid(field, 'is not a UUID', 'MALFORMED_NAME');
  return text.toLowerCase();
};

const isPath = (path: string, field: string): boolean => field === path || field === path.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** Whether a mask names one of these fields, however it is spelled. */
export const isNamed = (mask: readonly string[] | undefined, fields: readonly string[]): boolean =>
  mask?.some((path) => fields.some((field) => isPath(path, field))) ?? false;

/** The fields to change: those of the mask, all with `*`, the populated ones without a mask. */
export const checkMask = <F extends string>(
  mask: readonly string[] | undefined,
  known: readonly F[],
  populated: (field: F) => boolean,
): F[] => {
  if (!mask || mask.length === 0) return known.filter(populated);
  if (mask.includes('*')) {
    if (mask.length > 1) throw invalid('update_mask', '* stands alone', 'UNKNOWN_MASK_PATH');
    return [...known];
  }
  return mask.map((path) => {
    const field = known.find((k) => isPath(path, k));
    if (!field) throw invalid('update_mask', `knows ${known.join(', ')} and *`, 'UNKNOWN_MASK_PATH');
    return field;
  });
};
