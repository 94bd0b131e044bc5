// Copies of PostgreSQL's data directory.
import { chownSync, copyFileSync, lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from '../processes.ts';

const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/**
 * Copies folders and files, but for what `skip` names by its path below `from`; of a folder whose content is skipped the
 * folder itself is there. A server that runs may remove files meanwhile, which then are not needed.
 */
export const copyTree = (from: string, to: string, account: Account | undefined, skip: (path: string) => boolean = () => false): void => {
  const give = (path: string): void => {
    if (account) chownSync(path, account.uid, account.gid);
  };
  const copy = (path: string): void => {
    const target = join(to, path);
    mkdirSync(target, { mode: 0o700, recursive: true });
    give(target);
    for (const name of readdirSync(join(from, path))) {
      const below = join(path, name);
      if (skip(below)) continue;
      try {
        if (lstatSync(join(from, below)).isDirectory()) copy(below);
        else {
          copyFileSync(join(from, below), join(to, below));
          give(join(to, below));
        }
      } catch (error) {
        if (!isGone(error)) throw error;
      }
    }
  };
  copy('');
};
