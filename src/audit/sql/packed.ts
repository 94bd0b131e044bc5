// Arrays in PostgreSQL's binary format, of one field of many rows: the driver would send them as text, bytes in hex and every
// quote escaped. Pure.

/** Object ids of the element types, fixed in PostgreSQL's catalogue. */
const TYPES = { bytea: 17, bigint: 20, smallint: 21, text: 25, uuid: 2950 } as const;
/** Dimensions, a flag for nulls, the element type, then length and lower bound of the one dimension. */
const HEADER_BYTES = 20;

interface Element<T> {
  type: keyof typeof TYPES;
  size: (value: T) => number;
  write: (to: Buffer, value: T, at: number) => void;
}

const packer =
  <T>({ type, size, write }: Element<T>) =>
  <Row>(rows: readonly Row[], of: (row: Row) => T): Buffer => {
    let bytes = HEADER_BYTES;
    for (const row of rows) bytes += 4 + size(of(row));
    const packed = Buffer.allocUnsafe(bytes);
    [1, 0, TYPES[type], rows.length, 1].forEach((field, i) => packed.writeInt32BE(field, i * 4));
    let at = HEADER_BYTES;
    for (const row of rows) {
      const value = of(row);
      const length = size(value);
      at = packed.writeInt32BE(length, at);
      write(packed, value, at);
      at += length;
    }
    return packed;
  };

export const packTexts = packer<string>({
  type: 'text',
  size: (text) => Buffer.byteLength(text),
  write: (to, text, at) => void to.write(text, at),
});
export const packBytes = packer<Buffer>({ type: 'bytea', size: (bytes) => bytes.length, write: (to, bytes, at) => to.set(bytes, at) });
export const packBigInts = packer<number>({
  type: 'bigint',
  size: () => 8,
  write: (to, value, at) => void to.writeBigInt64BE(BigInt(value), at),
});
export const packSmallInts = packer<number>({ type: 'smallint', size: () => 2, write: (to, value, at) => void to.writeInt16BE(value, at) });
export const packUuids = packer<string>({
  type: 'uuid',
  size: () => 16,
  write: (to, uuid, at) => void to.write(uuid.replaceAll('-', ''), at, 'hex'),
});
