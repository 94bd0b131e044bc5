// The log as files (C2SP tlog-tiles): their paths, which of them a log of a size has, and bundles of entries. Pure.
import { TILE_WIDTH } from './tiles.ts';

const WIDTH = BigInt(TILE_WIDTH);
const MAX_LEVEL = 63;

export interface Piece {
  /** `entries` is a bundle of leaves; a number is the level of a tile of hashes. */
  readonly level: number | 'entries';
  readonly tile: bigint;
  /** 1 to 256; less than 256 means partial. */
  readonly width: number;
}

/** 1234067 as `x001/x234/067`. */
const numberPath = (n: bigint): string => {
  const digits = n.toString().padStart(3, '0');
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, '0').match(/\d{3}/g) ?? [];
  return groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join('/');
};

export const pathOf = ({ level, tile, width }: Piece): string =>
  `tile/${level}/${numberPath(tile)}${width < TILE_WIDTH ? `.p/${width}` : ''}`;

const PATH = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,6}\d{3})(?:\.p\/(\d{1,3}))?$/;

/** Undefined for a path that no log has: each piece has exactly one. */
export const parsePath = (path: string): Piece | undefined => {
  const [, level = '', digits = '', width = String(TILE_WIDTH)] = PATH.exec(path) ?? [];
  const piece: Piece = {
    level: level === 'entries' ? level : Number(level),
    tile: BigInt(digits.replaceAll(/[x/]/g, '')),
    width: Number(width),
  };
  const known = (level === 'entries' || Number(level) <= MAX_LEVEL) && piece.width >= 1 && piece.width <= TILE_WIDTH;
  return known && pathOf(piece) === path ? piece : undefined;
};

/** How many leaves one hash of a level stands for. */
const spanOf = (level: Piece['level']): bigint => (level === 'entries' ? 1n : WIDTH ** BigInt(level));

/** How many hashes or entries of a level a log has, counted up to the end of a piece. */
export const endOf = ({ level, tile, width }: Piece): bigint => (tile * WIDTH + BigInt(width)) * spanOf(level);

/** Full pieces that become complete with the bundle `tile`: those of level 0 last, so that who has them has the others. */
export const fullPieces = (tile: bigint): Piece[] => {
  const pieces: Piece[] = [];
  for (let level = 0, n = tile; ; level++, n /= WIDTH) {
    pieces.unshift({ level, tile: n, width: TILE_WIDTH });
    if (n % WIDTH !== WIDTH - 1n) return pieces;
  }
};

/** The pieces at the end of a log of this size that are not full. */
export const partialPieces = (size: bigint): Piece[] => {
  const pieces: Piece[] = [];
  for (let level = 0, count = size; count > 0n; level++, count /= WIDTH) {
    const width = Number(count % WIDTH);
    if (width > 0) pieces.push({ level, tile: count / WIDTH, width });
  }
  const [first] = pieces;
  return first?.level === 0 ? [{ ...first, level: 'entries' }, ...pieces] : pieces;
};

const MAX_ENTRY_BYTES = 65_535;

/** Each entry with its length in 16 bits before it. */
export const packBundle = (entries: readonly Buffer[]): Buffer =>
  Buffer.concat(
    entries.flatMap((entry) => {
      if (entry.length > MAX_ENTRY_BYTES) throw new Error(`an entry of ${entry.length} bytes does not fit into a bundle`);
      return [Buffer.of(entry.length >> 8, entry.length & 0xff), entry];
    }),
  );

/** Undefined if the bytes are no bundle. */
export const splitBundle = (bundle: Buffer): Buffer[] | undefined => {
  const entries: Buffer[] = [];
  for (let at = 0; at < bundle.length;) {
    if (at + 2 > bundle.length) return undefined;
    const end = at + 2 + bundle.readUInt16BE(at);
    if (end > bundle.length) return undefined;
    entries.push(bundle.subarray(at + 2, end));
    at = end;
  }
  return entries;
};
