// The commands of a document, run as somebody would paste them: all blocks in one shell, on the ports and certificates of the stack under
// test, with grpcurl where it is installed and something that takes the same arguments where it is not.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { ROOT, type Stack } from '../../src/dev/stack.ts';

export interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
  /** What each block wrote. */
  shown: string[];
}

const MARK = '===== end of a block =====';

/** The shell commands between two lines of a document, or all of them. */
export const blocksOf = (file: string, from = '', to?: string): string[] => {
  const text = readFileSync(join(ROOT, file), 'utf8');
  const part = text.slice(text.indexOf(from), to === undefined ? undefined : text.indexOf(to));
  return [...part.matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1] ?? '');
};

export const runBlocks = (stack: Stack, blocks: readonly string[]): Ran => {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-document-'));
  try {
    if (spawnSync('grpcurl', ['-version']).status !== 0) {
      const program = JSON.stringify(join(ROOT, 'test/support/grpcurl.ts'));
      writeFileSync(join(folder, 'grpcurl'), `#!/bin/sh\nexec node ${program} "$@"\n`, { mode: 0o755 });
    }
    const script = `set -euo pipefail\n${blocks.map((block) => `${block}\necho '${MARK}'\n`).join('')}`
      .replaceAll('127.0.0.1:8443', `127.0.0.1:${stack.ports.store}`)
      .replaceAll('127.0.0.1:8444', `127.0.0.1:${stack.ports.keys}`)
      .replaceAll('127.0.0.1:8445', `127.0.0.1:${stack.ports.audit}`)
      .replaceAll('certs-dev/out', stack.certs);
    const path = [folder, join(ROOT, 'node_modules/.bin'), process.env['PATH']].join(delimiter);
    const env = { ...process.env, PATH: path, TMPDIR: folder };
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: ROOT, env });
    return { status, stdout: stdout.replaceAll(`${MARK}\n`, ''), stderr, shown: stdout.split(`${MARK}\n`) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
};
