// Secret payloads: kind, size, CRC32C both ways. Pure.
import { crc32c } from '@node-rs/crc32';
import type { SecretPayload } from '../gen/strongroom/secrets/v1/secret_service.ts';
import { AppError, invalid } from '../kernel/errors.ts';
import type { Content, Kind } from './types/type.ts';
import { typeOfCase, typeOfKind, TYPES } from './types/types.ts';

export const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** A payload on its way in, checked. */
export interface Value extends Content {
  crc32c: number;
  clientSpecifiedCrc32c: boolean;
}

export const checksum = (bytes: Buffer): number => crc32c(bytes) >>> 0;

/** A value that was made here. */
export const valueOf = (content: Content): Value => ({ ...content, crc32c: checksum(content.bytes), clientSpecifiedCrc32c: false });

export const parsePayload = (payload: SecretPayload, now: Date): Value => {
  const { value } = payload;
  if (!value) throw invalid('payload', 'needs text, data, key_value, user_credentials or certificate');
  const content = typeOfCase(value.$case).parse(value, now);
  const { length } = content.bytes;
  if (length > MAX_PAYLOAD_BYTES)
    throw invalid('payload', `has ${length} bytes; at most ${MAX_PAYLOAD_BYTES} are taken`, 'PAYLOAD_TOO_LARGE');
  const sum = checksum(content.bytes);
  if (payload.crc32c !== undefined && payload.crc32c !== BigInt(sum)) {
    throw invalid('payload.crc32c', 'does not fit the value, which was damaged on its way; send it again', 'CRC32C_MISMATCH');
  }
  return { ...content, crc32c: sum, clientSpecifiedCrc32c: payload.crc32c !== undefined };
};

export const toPayload = (kind: Kind, bytes: Buffer, crc: bigint): SecretPayload => {
  if (BigInt(checksum(bytes)) !== crc) throw corrupted();
  return { value: TYPES[typeOfKind(kind)].show(kind, bytes), crc32c: crc };
};

/** Which payload it is, and nothing of what is in it: it never changes, and equal values have different ones. */
export const payloadEtag = (secretUid: string, version: number): string => `"${secretUid}.${version}"`;

const ETAG = /^"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\.([1-9][0-9]{0,8})"$/;
const ETAG_CHARACTERS = 128;

/** What the caller has; undefined if it is nothing of ours. */
export const parseIfNoneMatch = (text: string, field: string): { secretUid: string; version: number } | undefined => {
  if (text.length > ETAG_CHARACTERS) throw invalid(field, `has more than ${ETAG_CHARACTERS} characters`);
  const [, secretUid, version] = ETAG.exec(text) ?? [];
  return secretUid === undefined ? undefined : { secretUid, version: Number(version) };
};

export const corrupted = (cause?: unknown): AppError =>
  new AppError(
    'DATA_CORRUPTED',
    'what is stored for this version is not what was written; restore it or write a new version, and find out who changed it',
    { cause },
  );
