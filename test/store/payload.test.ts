import { describe, expect, it } from 'vitest';
import { checksum, MAX_PAYLOAD_BYTES, parsePayload, toPayload } from '../../src/store/payload.ts';

const now = new Date();
const text = (value: string, crc32c?: bigint) => parsePayload({ value: { $case: 'text', value }, crc32c }, now);
const data = (value: Buffer, crc32c?: bigint) => parsePayload({ value: { $case: 'data', value }, crc32c }, now);

describe('CRC32C', () => {
  // RFC 3720, appendix B.4, and the check value of the catalogue of CRC algorithms.
  it.each([
    ['32 bytes of zeros', Buffer.alloc(32), 0x8a9136aa],
    ['32 bytes of ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['32 rising bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => i)), 0x46dd794e],
    ['32 falling bytes', Buffer.from(Array.from({ length: 32 }, (_, i) => 31 - i)), 0x113fdb5c],
    ['123456789', Buffer.from('123456789'), 0xe3069283],
    ['nothing', Buffer.alloc(0), 0],
  ])('of %s is the known one', (_, bytes, expected) => {
    expect(checksum(bytes)).toBe(expected);
  });
});

describe('a payload on its way in', () => {
  it('keeps its kind, its bytes and its checksum', () => {
    expect(text('pässword')).toEqual({
      kind: 'TEXT',
      bytes: Buffer.from('pässword'),
      crc32c: checksum(Buffer.from('pässword')),
      clientSpecifiedCrc32c: false,
    });
    expect(data(Buffer.of(0, 255)).kind).toBe('BYTES');
  });

  it('may be exactly 1 MiB, and not a byte more, as bytes and as text of more than one byte a character', () => {
    expect(data(Buffer.alloc(MAX_PAYLOAD_BYTES)).bytes.length).toBe(1_048_576);
    expect(text('é'.repeat(MAX_PAYLOAD_BYTES / 2)).bytes.length).toBe(1_048_576);
    for (const tooLarge of [() => data(Buffer.alloc(MAX_PAYLOAD_BYTES + 1)), () => text(`${'é'.repeat(MAX_PAYLOAD_BYTES / 2)}x`)]) {
      expect(tooLarge).toThrow(
        expect.objectContaining({
          reason: 'PAYLOAD_TOO_LARGE',
          message: expect.stringContaining('1048577 bytes; at most 1048576') as string,
        }),
      );
    }
  });

  it('may be empty, but not absent', () => {
    expect(text('').bytes.length).toBe(0);
    expect(() => parsePayload({ value: undefined, crc32c: undefined }, now)).toThrow(expect.objectContaining({ reason: 'INVALID_FIELD' }));
  });

  it('is taken with the right CRC32C, and it is remembered that the caller gave one', () => {
    expect(data(Buffer.from('123456789'), 0xe3069283n).clientSpecifiedCrc32c).toBe(true);
    expect(data(Buffer.alloc(0), 0n).clientSpecifiedCrc32c).toBe(true);
  });

  it.each([0n, 0xe3069284n, -1n, 0xe3069283n - 2n ** 32n, 0xe3069283n + 2n ** 32n])('is refused with the wrong CRC32C %d', (crc) => {
    expect(() => data(Buffer.from('123456789'), crc)).toThrow(
      expect.objectContaining({ reason: 'CRC32C_MISMATCH', violations: [expect.objectContaining({ field: 'payload.crc32c' })] }),
    );
  });
});

describe('a payload on its way out', () => {
  it('is what came in, with its checksum', () => {
    for (const [kind, bytes] of [
      ['TEXT', Buffer.from('pässword')],
      ['BYTES', Buffer.of(0, 255, 128)],
    ] as const) {
      const out = toPayload(kind, bytes, BigInt(checksum(bytes)));
      expect(parsePayload(out, now)).toMatchObject({ kind, bytes });
      expect(out.crc32c).toBe(BigInt(checksum(bytes)));
    }
  });

  it('is refused as lost data if its bytes do not fit the checksum it was stored with', () => {
    expect(() => toPayload('BYTES', Buffer.of(1), BigInt(checksum(Buffer.of(2))))).toThrow(
      expect.objectContaining({ reason: 'DATA_CORRUPTED', code: 'DATA_LOSS' }),
    );
  });
});
