// Proofs and earlier roots from the tiles: a handful of tiles for a log of any size.
import type { Db } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { consistencyRanges, cover, fold, inclusionRanges, perfectRoot, type Node, type Range } from './merkle.ts';
import { selectTiles } from './sql/log.ts';
import { placeOf, splitTile, TILE_WIDTH, type Tails } from './tiles.ts';

/** Hashes of perfect subtrees of the log that `tails` is the end of; each tile is read once. */
const openHashes = (db: Db, tails: Tails): ((node: Node) => Promise<Buffer>) => {
  const loaded = new Map<string, Promise<Buffer[]>>();
  const tileOf = (level: number, tile: bigint): Promise<Buffer[]> => {
    const tail = tails[level];
    // Not full yet: the hashes are in memory, which is of one moment.
    if (tail && tile === tail.count / BigInt(TILE_WIDTH)) return Promise.resolve([...tail.hashes]);
    const key = `${level}/${tile}`;
    const known = loaded.get(key);
    if (known) return known;
    const loading = selectTiles(db.read, level, tile, tile + 1n).then(([row]) => splitTile(row?.hashes ?? Buffer.alloc(0)));
    loaded.set(key, loading);
    return loading;
  };
  return async (node) => {
    const { level, tile, offset, width } = placeOf(node);
    const hashes = (await tileOf(level, tile)).slice(offset, offset + width);
    if (hashes.length !== width) throw new AppError('DATA_CORRUPTED', `tile ${level}/${tile} of the log is missing or short`);
    return perfectRoot(hashes);
  };
};

interface Grown {
  readonly tails: Tails;
}

const hashesOf = (db: Db, { tails }: Grown, ranges: readonly Range[]): Promise<Buffer[]> => {
  const hashOf = openHashes(db, tails);
  return Promise.all(ranges.map(async ({ start, end }) => fold(await Promise.all(cover(start, end).map(hashOf)))));
};

/** The hashes from leaf `index` upward, in the tree of `size` leaves that this log has or had. */
export const inclusionProof = (db: Db, log: Grown, index: bigint, size: bigint): Promise<Buffer[]> =>
  hashesOf(db, log, inclusionRanges(index, size));

/** The hashes that lead from the tree of `first` leaves to the tree of `second` leaves. */
export const consistencyProof = (db: Db, log: Grown, first: bigint, second: bigint): Promise<Buffer[]> =>
  hashesOf(db, log, consistencyRanges(first, second));

/** The root that the log had at an earlier size. */
export const rootAt = async (db: Db, { tails }: Grown, size: bigint): Promise<Buffer> =>
  fold(await Promise.all(cover(0n, size).map(openHashes(db, tails))));

/** A leaf's hash, also of an entry that has no body any more. */
export const leafHashAt = (db: Db, { tails }: Pick<Grown, 'tails'>, index: bigint): Promise<Buffer> =>
  openHashes(db, tails)({ level: 0, index });
