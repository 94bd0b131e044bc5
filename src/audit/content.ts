// The bytes of the log's files (C2SP tlog-tiles). Full tiles are in the database; what is not full is made from what is in memory, at
// every width that the log has had.
import type { Db } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { HASH_BYTES } from './merkle.ts';
import { selectBundles } from './sql/bundles.ts';
import { selectTiles } from './sql/log.ts';
import { TILE_WIDTH, type Tails } from './tiles.ts';
import { endOf, type Piece } from './tlog-tiles.ts';

const WIDTH = BigInt(TILE_WIDTH);

/** What was removed after its time of retention: hashes stay, entries go. */
export const PRUNED = Symbol('pruned');
export type Content = Buffer | typeof PRUNED;

export interface Grown {
  readonly tree: { readonly size: bigint };
  readonly tails: Tails;
}

/** Undefined if the log is not that long. */
export const contentOf = async (db: Db, { tree, tails }: Grown, piece: Piece): Promise<Content | undefined> => {
  const { level, tile, width } = piece;
  if (endOf(piece) > tree.size) return undefined;
  if (level === 'entries') {
    const from = tile * WIDTH;
    const [row] = await selectBundles(db.read, from, from + BigInt(width));
    return row?.bundle && row.entries === width ? row.bundle : PRUNED;
  }
  const tail = tails[level];
  if (tail && tile === tail.count / WIDTH) return Buffer.concat(tail.hashes.slice(0, width));
  const [row] = await selectTiles(db.read, level, tile, tile + 1n);
  if (row?.hashes.length !== TILE_WIDTH * HASH_BYTES)
    throw new AppError('DATA_CORRUPTED', `tile ${level}/${tile} is not what was written; the log was changed behind its back`);
  return row.hashes.subarray(0, width * HASH_BYTES);
};
