// The tree in tiles of 256 hashes (C2SP tlog-tiles): level 0 holds leaf hashes, level L + 1 the roots of the full tiles of
// level L. Full tiles go to the database once; what is not full yet stays in memory. Pure.
import { HASH_BYTES, perfectRoot, type Node } from './merkle.ts';

export const TILE_WIDTH = 256;
const TILE_HEIGHT = 8;

export interface Tile {
  level: number;
  tile: bigint;
  hashes: Buffer;
}

/** For each level: how many hashes it has had, and those of its last tile, which is not full. */
export type Tails = readonly { readonly count: bigint; readonly hashes: readonly Buffer[] }[];

export const splitTile = (bytes: Buffer): Buffer[] =>
  Array.from({ length: bytes.length / HASH_BYTES }, (_, i) => bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));

/** Adds leaf hashes; returns the new tails and the tiles that have become full. */
export const extend = (tails: Tails, leaves: readonly Buffer[]): { tails: Tails; full: Tile[] } => {
  const next = tails.map(({ count, hashes }) => ({ count, hashes: [...hashes] }));
  const full: Tile[] = [];
  const push = (level: number, hash: Buffer): void => {
    const tail = (next[level] ??= { count: 0n, hashes: [] });
    tail.hashes.push(hash);
    tail.count++;
    if (tail.hashes.length < TILE_WIDTH) return;
    full.push({ level, tile: tail.count / BigInt(TILE_WIDTH) - 1n, hashes: Buffer.concat(tail.hashes) });
    push(level + 1, perfectRoot(tail.hashes));
    tail.hashes = [];
  };
  for (const leaf of leaves) push(0, leaf);
  return { tails: next, full };
};

/** The perfect subtrees that make up the tree, largest first, as the tails have them. */
export const frontierOf = (tails: Tails): Buffer[] =>
  tails.toReversed().flatMap(({ hashes }) => {
    const roots: Buffer[] = [];
    let from = 0;
    for (let width = TILE_WIDTH / 2; width >= 1; width /= 2) {
      if (!(hashes.length & width)) continue;
      roots.push(perfectRoot(hashes.slice(from, from + width)));
      from += width;
    }
    return roots;
  });

/** Where a node's hash comes from: the root of `width` hashes of one tile, from `offset` on. */
export interface Place {
  level: number;
  tile: bigint;
  offset: number;
  width: number;
}

export const placeOf = ({ level, index }: Node): Place => {
  const width = 1 << (level % TILE_HEIGHT);
  const first = index * BigInt(width);
  return { level: Math.floor(level / TILE_HEIGHT), tile: first / BigInt(TILE_WIDTH), offset: Number(first % BigInt(TILE_WIDTH)), width };
};
