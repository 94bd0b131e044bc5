// Secret payloads: kind, size, CRC32C both ways. Pure.
import { crc32c } from '@node-rs/crc32';
import { SecretPayload_Kind, type SecretPayload } from '../gen/strongroom/secrets/v1/secret_service.ts';
import { AppError, invalid } from '../kernel/errors.ts';

export const MAX_PAYLOAD_BYTES = 1024 * 1024;

export type Kind = 'TEXT' | 'BYTES';
export const KINDS: Readonly<Record<Kind, SecretPayload_Kind>> = { TEXT: SecretPayload_Kind.TEXT, BYTES: SecretPayload_Kind.BYTES };

/** A payload on its way in, checked. */
export interface Value {
  kind: Kind;
  bytes: Buffer;
  crc32c: number;
  clientSpecifiedCrc32c: boolean;
}

export const checksum = (bytes: Buffer): number => crc32c(bytes) >>> 0;

export const parsePayload = (payload: SecretPayload): Value => {
  const { value } = payload;
  if (!value) throw invalid('payload', 'needs text or data');
  const kind: Kind = value.$case === 'text' ? 'TEXT' : 'BYTES';
  const bytes = value.$case === 'text' ? Buffer.from(value.value, 'utf8') : value.value;
  if (bytes.length > MAX_PAYLOAD_BYTES) {
    throw invalid('payload', `has ${bytes.length} bytes; at most ${MAX_PAYLOAD_BYTES} are taken`, 'PAYLOAD_TOO_LARGE');
  }
  const sum = checksum(bytes);
  if (payload.crc32c !== undefined && payload.crc32c !== BigInt(sum)) {
    throw invalid('payload.crc32c', 'does not fit the value, which was damaged on its way; send it again', 'CRC32C_MISMATCH');
  }
  return { kind, bytes, crc32c: sum, clientSpecifiedCrc32c: payload.crc32c !== undefined };
};

export const toPayload = (kind: Kind, bytes: Buffer, crc: bigint): SecretPayload => {
  if (BigInt(checksum(bytes)) !== crc) throw corrupted();
  const value: NonNullable<SecretPayload['value']> =
    kind === 'TEXT' ? { $case: 'text', value: bytes.toString('utf8') } : { $case: 'data', value: bytes };
  return { value, crc32c: crc };
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
