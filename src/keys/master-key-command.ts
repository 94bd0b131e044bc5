// The commands that split a master key into shares and put it together again, for the day on which its folder is lost. No key
// and no share is ever printed.
import { randomBytes } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { combine, split } from 'shamir-secret-sharing';
import { readPrivateFile } from '../kernel/config.ts';
import { masterKeyId, openKeyFiles } from './key-files.ts';
import { assertComplete, formatShare, MAX_SHARES, parseShare, type Share } from './shares.ts';

const USAGE =
  'usage: node src/main.ts master-key split <folder> <id> --shares <n> --threshold <k> --out <dir> | master-key combine <dir> <folder>';

const said = (error: unknown): string => (error instanceof Error ? error.message : 'unknown error');
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const assertFolder = (dir: string): void => {
  if (!lstatSync(dir).isDirectory()) throw new Error(`${dir} is no folder, or a symbolic link to one; name the folder itself`);
};

/** Whole and durable, in a place where nothing was. */
const writeShare = async (file: string, share: Share): Promise<void> => {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(formatShare(share));
    await handle.sync();
  } finally {
    await handle.close();
  }
};

const count = (text: string | undefined, name: string, least: number, most: number): number => {
  const number = /^\d{1,3}$/.test(text ?? '') ? Number(text) : NaN;
  if (!(number >= least && number <= most)) throw new Error(`--${name} must be a number from ${least} to ${most}`);
  return number;
};

/** The folder for the shares, made if it is not there. */
const emptyFolder = (dir: string): void => {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  assertFolder(dir);
  if (readdirSync(dir).length > 0) throw new Error(`the folder ${dir} is not empty; name another one for the shares`);
};

const splitKey = async (folder: string, id: string, dir: string, shares: number, threshold: number): Promise<void> => {
  if (!/^[0-9a-f]{16}$/.test(id)) throw new Error('the id of a master key is 16 hexadecimal digits in lower case');
  assertFolder(folder);
  const key = openKeyFiles(folder).read(id);
  // The library takes no Buffer.
  const secret = new Uint8Array(key);
  key.fill(0);
  const parts = await split(secret, shares, threshold).finally(() => secret.fill(0));
  const set = randomBytes(4).toString('hex');
  const written: string[] = [];
  try {
    emptyFolder(dir);
    for (const [i, part] of parts.entries()) {
      const file = join(dir, `${id}-${i + 1}-of-${shares}.share`);
      written.push(file);
      await writeShare(file, { key: id, set, share: i + 1, threshold, shares, data: Buffer.from(part) });
    }
  } catch (error) {
    for (const file of written) await rm(file, { force: true });
    throw error;
  } finally {
    for (const part of parts) part.fill(0);
  }
  say(
    `✓ ${shares} shares of master key ${id} are in ${dir}; any ${threshold} of them bring it back. Give each to another keeper, and remove the folder.`,
  );
};

const readShares = (dir: string): Share[] =>
  readdirSync(dir)
    .sort()
    .map((name) => {
      const file = join(dir, name);
      const bytes = readPrivateFile(file, 'share');
      try {
        return parseShare(bytes.toString('latin1'));
      } catch (error) {
        throw new Error(`${file} ${said(error)}`, { cause: error });
      } finally {
        bytes.fill(0);
      }
    });

const combineKey = async (dir: string, folder: string): Promise<void> => {
  for (const each of [dir, folder]) assertFolder(each);
  const files = openKeyFiles(folder);
  const there = files.list();
  const shares = readShares(dir);
  assertComplete(shares);
  const { key: id } = shares[0]!;
  const secret = await combine(shares.map(({ data }) => new Uint8Array(data)));
  const key = Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength);
  try {
    if (masterKeyId(key) !== id)
      throw new Error(`what these shares give is not master key ${id}: one of them was changed; leave it out, or take another one`);
    if (there.includes(id)) files.read(id).fill(0);
    else await files.write(id, key);
  } finally {
    key.fill(0);
    for (const { data } of shares) data.fill(0);
  }
  say(`✓ master key ${id} is ${there.includes(id) ? 'already ' : ''}in ${folder}`);
};

export const runMasterKeyCommand = async (args: string[]): Promise<void> => {
  const text = { type: 'string' } as const;
  const { values, positionals } = parseArgs({ args, allowPositionals: true, options: { shares: text, threshold: text, out: text } });
  const [command, first, second, extra] = positionals;
  if (!first || !second || extra !== undefined) throw new Error(USAGE);
  if (command === 'combine' && Object.keys(values).length === 0) return combineKey(first, second);
  if (command !== 'split' || !values.out) throw new Error(USAGE);
  const shares = count(values.shares, 'shares', 2, MAX_SHARES);
  return splitKey(first, second, values.out, shares, count(values.threshold, 'threshold', 2, shares));
};
