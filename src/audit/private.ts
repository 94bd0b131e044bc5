// Private fields: what an event tells of a person. Their values never stand in a leaf, which is for ever; what stands there is
// a commitment under a key of its own. Value and key are kept beside the log: with them anybody can check the commitment, and
// when they are deleted nobody can, nor guess. Pure, but for the keys it draws.
import { hash, randomBytes } from 'node:crypto';
import type { Event } from '../gen/strongroom/audit/v1/audit_service.ts';

/** Named as in the Event message. Another private field is another line here. */
const MEMBERS = { source_address: 'sourceAddress' } as const satisfies Record<string, keyof Event>;

export type PrivateField = keyof typeof MEMBERS;
export const PRIVATE_FIELDS = Object.keys(MEMBERS) as PrivateField[];

const LABEL = Buffer.from('strongroom/private/v1\0');
const KEY_BYTES = 32;
const BLOCK_BYTES = 64;

/** What opens a commitment. */
export interface Opening {
  field: string;
  value: string;
  key: Buffer;
}

/** HMAC-SHA-256 (RFC 2104) of a key of at most 64 bytes, as two one-shot hashes: an Hmac object costs five times as much, for every entry. */
const hmac = (key: Buffer, message: Buffer): Buffer => {
  const inner = Buffer.alloc(BLOCK_BYTES + message.length, 0x36);
  const outer = Buffer.alloc(BLOCK_BYTES + 32, 0x5c);
  for (const [i, byte] of key.entries()) {
    inner[i]! ^= byte;
    outer[i]! ^= byte;
  }
  message.copy(inner, BLOCK_BYTES);
  hash('sha256', inner, 'buffer').copy(outer, BLOCK_BYTES);
  return hash('sha256', outer, 'buffer');
};

/** Behind its length, so that no two pairs of field and value are the same bytes. */
const measured = (text: string): Buffer => {
  const bytes = Buffer.alloc(4 + Buffer.byteLength(text));
  bytes.writeUInt32BE(bytes.length - 4);
  bytes.write(text, 4);
  return bytes;
};

export const commitmentOf = ({ field, value, key }: Opening): Buffer => hmac(key, Buffer.concat([LABEL, measured(field), measured(value)]));

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

/** The event with the private fields that can still be opened. */
export const withPrivate = (event: Event, openings: readonly Opening[]): Event => {
  for (const { field, value } of openings) if (field in MEMBERS) event[MEMBERS[field as PrivateField]] = value;
  return event;
};
