// Files of a stack: written only when they change, so that a second start has nothing to notice.
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const readIfThere = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);

/** Whole or not at all: a reader never sees half a file. */
export const writeFile = (file: string, content: string | Uint8Array, mode = 0o644): void => {
  const fresh = `${file}.${process.pid}.new`;
  writeFileSync(fresh, content, { mode });
  renameSync(fresh, file);
};

export const writeIfChanged = (file: string, content: string, mode = 0o644): void => {
  if (readIfThere(file) !== content) writeFile(file, content, mode);
};

/** 32 random bytes, made once. */
export const ensureKeyFile = (file: string): void => {
  if (!existsSync(file)) writeFile(file, randomBytes(32), 0o600);
};

export const digestOf = (...parts: readonly (string | Buffer)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}:`).update(part);
  return hash.digest('hex');
};

export const digestOfFiles = (files: readonly string[]): string => digestOf(...files.map((file) => readFileSync(file)));

/** Of the files below a folder that `wanted` picks by their path in it. */
export const digestOfTree = (folder: string, wanted: (path: string) => boolean): string => {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(wanted).sort();
  return digestOf(...paths.flatMap((path) => [path, readFileSync(join(folder, path))]));
};
