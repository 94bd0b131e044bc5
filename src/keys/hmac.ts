// HMAC-SHA-256 (RFC 2104, FIPS 198-1) by two one-shot hashes. The objects that the library makes for each HMAC cost several times what
// they compute, and every DEK needs three. Pure; what it writes down meanwhile is wiped.
import { hash } from 'node:crypto';

const BLOCK = 64;
const HASH = 32;
const SHORT = 2_048;
const innerShort = Buffer.alloc(BLOCK + SHORT);
const outer = Buffer.alloc(BLOCK + HASH);

/** The key has at most 64 bytes. */
export const hmacSha256 = (key: Buffer, ...parts: readonly Buffer[]): Buffer => {
  const length = parts.reduce((sum, part) => sum + part.length, BLOCK);
  const inner = length <= innerShort.length ? innerShort.subarray(0, length) : Buffer.alloc(length);
  inner.fill(0x36, 0, BLOCK);
  outer.fill(0x5c, 0, BLOCK);
  for (let i = 0; i < key.length; i++) {
    inner[i]! ^= key[i]!;
    outer[i]! ^= key[i]!;
  }
  let at = BLOCK;
  for (const part of parts) at += part.copy(inner, at);
  const digest = hash('sha256', inner, 'buffer');
  digest.copy(outer, BLOCK);
  const mac = hash('sha256', outer, 'buffer');
  for (const bytes of [inner, outer, digest]) bytes.fill(0);
  return mac;
};
