// Takes a log as it is streamed, believes none of it, and keeps it: every entry must have the hash in its tile, all hashes must lead to a
// root that a known key has signed, and the log must continue what the folder had before. Tiles above level 0 are computed, not taken.
import type { LogFile } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { parseCheckpoint, type Checkpoint } from '../checkpoint.ts';
import { cover, fold, HASH_BYTES, leafHash, perfectRoot } from '../merkle.ts';
import { openNote, type Verifier } from '../note.ts';
import { extend, frontierOf, placeOf, splitTile, TILE_WIDTH, type Tails } from '../tiles.ts';
import { parsePath, partialPieces, splitBundle, type Piece } from '../tlog-tiles.ts';
import type { Archive } from './archive.ts';

const WIDTH = BigInt(TILE_WIDTH);
/** Tiles that are written at once: durable writes wait for the disk, and share their wait. */
const BATCH = 128;

export interface Follower {
  /** What is complete in the folder. */
  readonly size: bigint;
  /** Answers the checkpoint when it is the last file. */
  take(file: LogFile): Promise<Checkpoint | undefined>;
}

/** Full tiles of level 0 that are there with all that is before them. */
const countFull = (archive: Archive, from: bigint): bigint => {
  const isThere = (tile: bigint) => archive.has({ level: 0, tile, width: TILE_WIDTH });
  let tile = from;
  while (isThere(tile)) tile++;
  return tile;
};

const loadTails = async (archive: Archive, tiles: bigint): Promise<Tails> => {
  const tails: { count: bigint; hashes: Buffer[] }[] = [{ count: tiles * WIDTH, hashes: [] }];
  for (let count = tiles, level = 1; count > 0n; count /= WIDTH, level++) {
    const hashes: Buffer[] = [];
    for (let tile = count - (count % WIDTH); tile < count; tile++)
      hashes.push(perfectRoot(await archive.hashes({ level: level - 1, tile, width: TILE_WIDTH })));
    tails.push({ count, hashes });
  }
  return tails;
};

/** The root of a size that is smaller than what the folder has. */
const rootInArchive = async (archive: Archive, tails: Tails, size: bigint): Promise<Buffer> => {
  const hashes = cover(0n, size).map(async (node) => {
    const { level, tile, offset, width } = placeOf(node);
    const tail = tails[level];
    const isLast = tail !== undefined && tile === tail.count / WIDTH;
    return perfectRoot((isLast ? tail.hashes : await archive.hashes({ level, tile, width: TILE_WIDTH })).slice(offset, offset + width));
  });
  return fold(await Promise.all(hashes));
};

const readCheckpoint = (note: string, known: readonly Verifier[], what: string): Checkpoint => {
  const checkpoint = parseCheckpoint(openNote(note, known) ?? '');
  if (checkpoint && known.some(({ name }) => name === checkpoint.origin)) return checkpoint;
  throw new Error(`${what} is not signed with a key in verifierKeys`);
};

export const openFollower = async (archive: Archive, known: readonly Verifier[]): Promise<Follower> => {
  const note = await archive.checkpoint();
  const before = note === undefined ? undefined : readCheckpoint(note, known, 'the checkpoint in the folder');
  const full = countFull(archive, (before?.size ?? 0n) / WIDTH);
  let tails = await loadTails(archive, full);
  let bundle: { piece: Piece; content: Buffer | undefined } | undefined;
  let waiting: { before: [Piece, Buffer][]; after: [Piece, Buffer][] } = { before: [], after: [] };
  let writing = Promise.resolve();

  /** A tile of level 0 tells that all before it is there, so those come second. The next files come in while these are written. */
  const flush = async (): Promise<void> => {
    const { before: first, after } = waiting;
    waiting = { before: [], after: [] };
    await writing;
    writing = archive.write([...first, ...after]);
    // Its failure is found by the next write.
    writing.catch(() => undefined);
  };

  const takeLeaves = (piece: Piece, content: Buffer): void => {
    const { count = 0n, hashes = [] } = tails[0] ?? {};
    const isNext = hashes.length === 0 && piece.tile === count / WIDTH && content.length === piece.width * HASH_BYTES;
    if (!isNext || bundle?.piece.tile !== piece.tile || bundle.piece.width !== piece.width)
      throw new Error(`tile ${piece.tile} of level 0 came out of turn`);
    if (bundle.content) {
      const leaves = splitBundle(bundle.content)?.map(leafHash);
      if (!leaves || !Buffer.concat(leaves).equals(content))
        throw new Error(`the entries of bundle ${piece.tile} do not have the hashes of the log; it was changed`);
      waiting.before.push([bundle.piece, bundle.content]);
    }
    bundle = undefined;
    const extended = extend(tails, splitTile(content));
    tails = extended.tails;
    for (const { level, tile, hashes: bytes } of extended.full)
      (level === 0 ? waiting.after : waiting.before).push([{ level, tile, width: TILE_WIDTH }, bytes]);
  };

  const finish = async (signed: string): Promise<Checkpoint> => {
    const checkpoint = readCheckpoint(signed, known, 'the checkpoint of the log');
    const { size, root } = checkpoint;
    if ((tails[0]?.count ?? 0n) !== size || !fold(frontierOf(tails)).equals(root))
      throw new Error(`the entries do not lead to the root that is signed for size ${size}; the log was changed`);
    for (const piece of partialPieces(size))
      if (piece.level !== 'entries') waiting.after.push([piece, Buffer.concat(tails[piece.level]?.hashes ?? [])]);
    await flush();
    await writing;
    if (before && (before.size > size || !(await rootInArchive(archive, tails, before.size)).equals(before.root)))
      throw new Error(`the log does not continue the checkpoint of size ${before.size} in the folder; keep the folder as evidence`);
    await archive.finish(signed, before?.size ?? 0n, size);
    return checkpoint;
  };

  return {
    get size() {
      return ((tails[0]?.count ?? 0n) / WIDTH) * WIDTH;
    },
    take: async ({ path, content, pruned }) => {
      if (path === 'checkpoint') return finish(content.toString('utf8'));
      const piece = parsePath(path);
      if (!piece) throw new Error('the log has sent a file that no log has');
      if (piece.level === 'entries') bundle = { piece, content: pruned ? undefined : content };
      else if (piece.level === 0) takeLeaves(piece, content);
      if (waiting.after.length >= BATCH) await flush();
      return undefined;
    },
  };
};
