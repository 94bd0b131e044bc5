// Inclusion proofs from the tiles: a handful of tiles for a log of any size.
import type { Db } from '../kernel/db.ts';
import { cover, fold, inclusionRanges, perfectRoot, type Node } from './merkle.ts';
import type { LogState } from './recovery.ts';
import { selectTiles } from './sql/log.ts';
import { placeOf, splitTile, TILE_WIDTH } from './tiles.ts';

/** The hashes from leaf `index` upward, in the tree of `state`. */
export const inclusionProof = async (db: Db, state: LogState, index: bigint): Promise<Buffer[]> => {
  const loaded = new Map<string, Promise<Buffer[]>>();
  const tileOf = (level: number, tile: bigint): Promise<Buffer[]> => {
    const tail = state.tails[level];
    // Not full yet: the hashes are in the state, which is of one moment.
    if (tail && tile === tail.count / BigInt(TILE_WIDTH)) return Promise.resolve([...tail.hashes]);
    const key = `${level}/${tile}`;
    const known = loaded.get(key);
    if (known) return known;
    const loading = selectTiles(db.read, level, tile, tile + 1n).then(([row]) => splitTile(row?.hashes ?? Buffer.alloc(0)));
    loaded.set(key, loading);
    return loading;
  };
  const hashOf = async (node: Node): Promise<Buffer> => {
    const { level, tile, offset, width } = placeOf(node);
    const hashes = (await tileOf(level, tile)).slice(offset, offset + width);
    if (hashes.length !== width) throw new Error(`tile ${level}/${tile} of the log is missing or short`);
    return perfectRoot(hashes);
  };
  return Promise.all(
    inclusionRanges(index, state.tree.size).map(async ({ start, end }) => fold(await Promise.all(cover(start, end).map(hashOf)))),
  );
};
