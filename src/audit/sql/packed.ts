// Arrays in PostgreSQL's binary format: the driver would send them as text, bytes in hex and every quote escaped. Pure.

/** Object ids of the element types, fixed in PostgreSQL's catalogue. */
const TYPES = { bytea: 17, text: 25, uuid: 2950 } as const;
/** Dimensions, a flag for nulls, the element type, then length and lower bound of the one dimension. */
const HEADER_BYTES = 20;

const packWith = <T>(
  type: keyof typeof TYPES,
  items: readonly T[],
  sizeOf: (item: T) => number,
  write: (to: Buffer, item: T, at: number) => void,
) => {
  const sizes = items.map(sizeOf);
  const packed = Buffer.allocUnsafe(HEADER_BYTES + sizes.reduce((sum, size) => sum + 4 + size, 0));
  [1, 0, TYPES[type], items.length, 1].forEach((field, i) => packed.writeInt32BE(field, i * 4));
  let at = HEADER_BYTES;
  items.forEach((item, i) => {
    at = packed.writeInt32BE(sizes[i]!, at);
    write(packed, item, at);
    at += sizes[i]!;
  });
  return packed;
};

export const packTexts = (texts: readonly string[]): Buffer =>
  packWith(
    'text',
    texts,
    (text) => Buffer.byteLength(text),
    (to, text, at) => void to.write(text, at),
  );

export const packBytes = (items: readonly Buffer[]): Buffer =>
  packWith(
    'bytea',
    items,
    (bytes) => bytes.length,
    (to, bytes, at) => to.set(bytes, at),
  );

export const packUuids = (uuids: readonly string[]): Buffer =>
  packWith(
    'uuid',
    uuids,
    () => 16,
    (to, uuid, at) => void to.write(uuid.replaceAll('-', ''), at, 'hex'),
  );
