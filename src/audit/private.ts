// Private fields: what an event tells of a person. Their values never stand in a leaf, which is for ever; what stands there is
// a commitment under a key of its own. Value and key are kept beside the log: with them anybody can check the commitment, and
// when they are deleted nobody can, nor guess. Pure, but for the keys it draws.
import { hash, randomBytes } from 'node:crypto';
import type { Event } from '../gen/strongroom/audit/v1/audit_service.ts';

/** Named as in the Event message. Another private field is another line here. */
const MEMBERS = { source_address: 'sourceAddress' } as const satisfies Record<string, keyof Event>;

export type PrivateField = keyof typeof MEMBERS;
/** In the order of canonical JSON. */
export const PRIVATE_FIELDS = (Object.keys(MEMBERS) as PrivateField[]).sort();

const LABEL = Buffer.from('strongroom/private/v1\0');
const KEY_BYTES = 32;
const BLOCK_BYTES = 64;
const HASH_BYTES = 32;

/** What opens a commitment. */
export interface Opening {
  field: string;
  value: string;
  key: Buffer;
}

/** The key's block of HMAC-SHA-256 (RFC 2104), and room behind it. */
const block = (key: Buffer, pad: number, room: number): Buffer => {
  const bytes = Buffer.allocUnsafe(BLOCK_BYTES + room).fill(pad, 0, BLOCK_BYTES);
  for (let i = 0; i < key.length; i++) bytes[i]! ^= key[i]!;
  return bytes;
};

/**
 * HMAC-SHA-256 over the label, and name and value, each behind its length, so that no two pairs are the same bytes. Made of two one-shot hashes:
 * an Hmac object costs five times as much, for every entry.
 */
export const commitmentOf = ({ field, value, key }: Opening): Buffer => {
  const inner = block(key, 0x36, LABEL.length + 8 + Buffer.byteLength(field) + Buffer.byteLength(value));
  let at = BLOCK_BYTES + LABEL.copy(inner, BLOCK_BYTES);
  for (const text of [field, value]) {
    const length = inner.write(text, at + 4);
    inner.writeUInt32BE(length, at);
    at += 4 + length;
  }
  const outer = block(key, 0x5c, HASH_BYTES);
  hash('sha256', inner, 'buffer').copy(outer, BLOCK_BYTES);
  return hash('sha256', outer, 'buffer');
};

/** Keys for so many events, drawn at once. */
export const freshKeys = (events: number): (() => Buffer) => {
  const bytes = randomBytes(events * PRIVATE_FIELDS.length * KEY_BYTES);
  let drawn = 0;
  return () => bytes.subarray(drawn, (drawn += KEY_BYTES));
};

/** The private fields that an event has, each under a key of its own. */
export const openingsOf = (event: Event, nextKey: () => Buffer): Opening[] =>
  PRIVATE_FIELDS.flatMap((field) => {
    const value = event[MEMBERS[field]];
    return value === '' ? [] : [{ field, value, key: nextKey() }];
  });

/** As it stands in a leaf. */
export const commitmentText = (opening: Opening): string => `"${opening.field}":"${commitmentOf(opening).toString('base64')}"`;

/** The event with the private fields that can still be opened. */
export const withPrivate = (event: Event, openings: readonly Opening[]): Event => {
  for (const { field, value } of openings) if (field in MEMBERS) event[MEMBERS[field as PrivateField]] = value;
  return event;
};
