// A folder with a log in the layout of C2SP tlog-tiles. A file is there whole or not at all, and a checkpoint only when all that it covers
// is there, on stable storage.
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, rmdir, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HASH_BYTES } from '../merkle.ts';
import { splitTile, TILE_WIDTH } from '../tiles.ts';
import { partialPieces, pathOf, type Piece } from '../tlog-tiles.ts';

export interface Archive {
  has(piece: Piece): boolean;
  /** Of a tile that is there. */
  hashes(piece: Piece): Promise<Buffer[]>;
  /** In this order. */
  write(pieces: readonly (readonly [Piece, Buffer])[]): Promise<void>;
  /** The note of the newest checkpoint. */
  checkpoint(): Promise<string | undefined>;
  /** The last step. Removes what was partial at the size before and is full now. */
  finish(note: string, before: bigint, size: bigint): Promise<void>;
}

/** Each is there whole or not at all, and none before those that stand before it. */
const writeWhole = async (files: readonly (readonly [string, string | Buffer])[]): Promise<void> => {
  const fresh = (file: string) => `${file}.${process.pid}.new`;
  const handles: FileHandle[] = [];
  try {
    for (const [file, content] of files) {
      const handle = await open(fresh(file), 'w', 0o640);
      handles.push(handle);
      await handle.writeFile(content);
    }
    // After the others: the first of them waits for the disk, which then has most of the rest too.
    await Promise.all(handles.map((handle) => handle.sync()));
  } finally {
    await Promise.all(handles.map((handle) => handle.close()));
  }
  for (const [file] of files) await rename(fresh(file), file);
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
    write: async (pieces) => {
      for (const [piece] of pieces) await touch(dirname(file(piece)));
      await writeWhole(pieces.map(([piece, content]) => [file(piece), content]));
    },
    checkpoint: () =>
      readFile(join(root, 'checkpoint'), 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined;
        throw error;
      }),
    finish: async (note, before, size) => {
      for (const folder of touched) await syncFolder(folder);
      await writeWhole([[join(root, 'checkpoint'), note]]);
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
