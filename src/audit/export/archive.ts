// A folder with a log in the layout of C2SP tlog-tiles. A file is there whole or not at all, and a checkpoint only when all that it covers
// is there, on stable storage.
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HASH_BYTES } from '../merkle.ts';
import { splitTile, TILE_WIDTH } from '../tiles.ts';
import { partialPieces, pathOf, type Piece } from '../tlog-tiles.ts';

export interface Archive {
  has(piece: Piece): boolean;
  /** Of a tile that is there. */
  hashes(piece: Piece): Promise<Buffer[]>;
  write(piece: Piece, content: Buffer): Promise<void>;
  /** The note of the newest checkpoint. */
  checkpoint(): Promise<string | undefined>;
  /** The last step. Removes what was partial at the size before and is full now. */
  finish(note: string, before: bigint, size: bigint): Promise<void>;
}

const writeWhole = async (file: string, content: string | Buffer): Promise<void> => {
  const fresh = `${file}.${process.pid}.new`;
  const handle = await open(fresh, 'w', 0o640);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
};

const syncFolder = async (folder: string): Promise<void> => {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
};

export const openArchive = async (root: string): Promise<Archive> => {
  /** With what was written to since they were last made durable. */
  const touched = new Set<string>();
  /** A folder is an entry in the one above it. */
  const touch = async (folder: string): Promise<void> => {
    if (touched.has(folder)) return;
    await mkdir(folder, { recursive: true, mode: 0o750 });
    for (let at = folder; !touched.has(at); at = dirname(at)) {
      touched.add(at);
      if (at === root) return;
    }
  };
  const file = (piece: Piece): string => join(root, pathOf(piece));
  await touch(root);
  return {
    has: (piece) => existsSync(file(piece)),
    hashes: async (piece) => {
      const bytes = await readFile(file(piece));
      if (bytes.length !== piece.width * HASH_BYTES)
        throw new Error(`${file(piece)} has ${bytes.length} bytes; remove it, and export again`);
      return splitTile(bytes);
    },
    write: async (piece, content) => {
      await touch(dirname(file(piece)));
      await writeWhole(file(piece), content);
    },
    checkpoint: () =>
      readFile(join(root, 'checkpoint'), 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      }),
    finish: async (note, before, size) => {
      for (const folder of touched) await syncFolder(folder);
      await writeWhole(join(root, 'checkpoint'), note);
      await syncFolder(root);
      const there = new Set(partialPieces(size).map(pathOf));
      for (const piece of partialPieces(before)) {
        if (there.has(pathOf(piece)) || !existsSync(file({ ...piece, width: TILE_WIDTH }))) continue;
        await rm(file(piece), { force: true });
        await rmdir(dirname(file(piece))).catch(() => undefined);
      }
    },
  };
};
