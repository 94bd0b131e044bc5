// A verifier that nobody here wrote: fsck of the Tessera project, in Go. It reads a folder in the layout of C2SP tlog-tiles, hashes every
// entry, makes every tile anew, and compares them, the root and the signature.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Go checks what it fetches against its checksum database. */
const MODULE = 'github.com/transparency-dev/tessera/cmd/fsck';
const VERSION = 'v1.0.4';

export type Installed = { program: string } | { why: string };

/** Once into the folder; where it cannot be had, says why. */
export const installFsck = (folder: string): Installed => {
  const program = resolve(folder, `fsck-${VERSION}`, 'fsck');
  if (existsSync(program)) return { program };
  if (spawnSync('go', ['version']).status !== 0) return { why: 'there is no Go here; install Go 1.24 or later (https://go.dev/dl)' };
  mkdirSync(resolve(program, '..'), { recursive: true });
  const env = { ...process.env, GOBIN: resolve(program, '..'), GOFLAGS: '' };
  const { status, stderr } = spawnSync('go', ['install', `${MODULE}@${VERSION}`], { env, encoding: 'utf8', timeout: 300_000 });
  if (status === 0) return { program };
  const said = stderr?.trim().split('\n').at(-1) ?? '';
  return { why: `go install ${MODULE}@${VERSION} failed, perhaps for want of a network: ${said}` };
};

/** Whether it finds a folder to be a whole log of this key. Its exit status does not tell: its words do, and silence is no. */
export const isWhole = (program: string, folder: string, verifierKey: string): { whole: boolean; said: string } => {
  const key = join(folder, '..', 'verifier-key');
  writeFileSync(key, verifierKey);
  // With one worker it would wait for ever after the first difference.
  const args = ['--N=4', '--ui=false', `--public_key=${key}`, `--storage_url=file://${resolve(folder)}/`];
  const { stderr } = spawnSync(program, args, { encoding: 'utf8', timeout: 60_000 });
  const lines = (stderr ?? '').split('\n');
  const line = lines.find((text) => /Successfully fsck'd|fsck failed/.test(text)) ?? lines[0] ?? '';
  return { whole: line.includes("Successfully fsck'd"), said: line.replace(/^.*?\] /, '').slice(0, 110) };
};
