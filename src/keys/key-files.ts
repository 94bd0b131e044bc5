// The folder of master keys: files `<id>.key` of 32 bytes, for their owner only, and nothing else. A key is there whole and
// durable, or not at all; one that is destroyed is overwritten first. The folder may be shared by replicas.
import { hkdfSync, randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { open, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { readKeyFile } from '../kernel/config.ts';
import { AppError } from '../kernel/errors.ts';
import { KEY_BYTES } from './wrap.ts';

const FILE = /^([0-9a-f]{16})\.key$/;
/** Being written; what a program that was killed has left of it was never in use. */
const FRESH = /^[0-9a-f]{16}\.key\.new$/;

export interface KeyFiles {
  readonly dir: string;
  /** Of the keys that are there. Refuses a folder that others can use, or that has something else in it. */
  list(): string[];
  /** Throws for one that is not there, can be read by others, or is another key than its name says. */
  read(id: string): Buffer;
  /** Answers once it is durable. */
  write(id: string, key: Buffer): Promise<void>;
  /** Of one that is not there, nothing is left to do. */
  destroy(id: string): Promise<void>;
}

/** Follows from the key, and tells nothing of it. */
export const masterKeyId = (key: Buffer): string => Buffer.from(hkdfSync('sha256', key, '', 'strongroom/master-id/v1', 8)).toString('hex');

/** What a caller may see when the folder fails; the log has the rest. */
export const folderFailed = (error: unknown): AppError =>
  error instanceof AppError
    ? error
    : new AppError('KEYS_UNAVAILABLE', 'the folder of master keys could not be used, and its log says why; put it right and try again', {
        cause: error,
      });

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;
const said = (error: unknown): string => (error instanceof Error ? error.message : 'unknown error');

export const openKeyFiles = (dir: string): KeyFiles => {
  const fileOf = (id: string): string => join(dir, `${id}.key`);
  const freshOf = (id: string): string => `${fileOf(id)}.new`;
  const syncFolder = async (): Promise<void> => {
    const folder = await open(dir, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  };
  const overwrite = async (file: string, bytes: Buffer, flags: string): Promise<void> => {
    const handle = await open(file, flags, 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  };

  const shred = async (file: string): Promise<void> => {
    try {
      await overwrite(file, randomBytes(KEY_BYTES), 'r+');
      await unlink(file);
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  };

  return {
    dir,
    list: () => {
      let names: string[];
      try {
        if ((statSync(dir).mode & 0o077) !== 0) throw new Error('others can look into it; run chmod 700 on it');
        // Hidden files are a file system's own.
        names = readdirSync(dir).filter((name) => !name.startsWith('.') && !FRESH.test(name));
      } catch (error) {
        throw new Error(`the folder of master keys ${dir} cannot be used: ${said(error)}`, { cause: error });
      }
      const stranger = names.find((name) => !FILE.test(name));
      if (stranger !== undefined) throw new Error(`the folder of master keys ${dir} has ${stranger} in it, which is no key; take it out`);
      return names.map((name) => name.slice(0, -'.key'.length)).sort();
    },
    read: (id) => {
      const key = readKeyFile(fileOf(id));
      if (masterKeyId(key) !== id) throw new Error(`${fileOf(id)} is another key than its name says (${masterKeyId(key)})`);
      return key;
    },
    write: async (id, key) => {
      const fresh = freshOf(id);
      try {
        await overwrite(fresh, key, 'w');
        await rename(fresh, fileOf(id));
        await syncFolder();
      } catch (error) {
        await rm(fresh, { force: true }).catch(() => undefined);
        throw new Error(`the master key ${id} could not be written: ${said(error)}`, { cause: error });
      }
    },
    destroy: async (id) => {
      try {
        for (const file of [fileOf(id), freshOf(id)]) await shred(file);
        await syncFolder();
      } catch (error) {
        throw new Error(`the master key ${id} could not be destroyed: ${said(error)}`, { cause: error });
      }
    },
  };
};
