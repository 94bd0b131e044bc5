// What docs/import.md tells a customer to paste works as it stands: all blocks in one shell, with grpcurl where it is installed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { ROOT } from '../../src/dev/stack.ts';
import { clientsOf } from '../support/clients.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const folder = mkdtempSync(join(tmpdir(), 'strongroom-import-'));
afterAll(() => {
  operator[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const blocks = [...readFileSync(join(ROOT, 'docs/import.md'), 'utf8').matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1] ?? '');
const openssl = /^OpenSSL (\d+)/.exec(spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout ?? '')?.[1];

/** The blocks on the ports and certificates of the stack under test, with something before one of them. */
const run = (before = '', at = 0) => {
  if (spawnSync('grpcurl', ['-version']).status !== 0) {
    const program = JSON.stringify(join(ROOT, 'test/support/grpcurl.ts'));
    writeFileSync(join(folder, 'grpcurl'), `#!/bin/sh\nexec node ${program} "$@"\n`, { mode: 0o755 });
  }
  const commands = blocks.map((block, i) => (i === at ? `${before}\n${block}` : block)).join('\n');
  const script = `set -euo pipefail\n${commands}\necho "KEY $ring/keys/$id"; rm -r "$at"\n`
    .replaceAll('127.0.0.1:8444', `127.0.0.1:${stack.ports.keys}`)
    .replaceAll('certs-dev/out', stack.certs);
  const path = [folder, join(ROOT, 'node_modules/.bin'), process.env['PATH']].join(delimiter);
  return spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: ROOT, env: { ...process.env, PATH: path, TMPDIR: folder } });
};

describe.runIf(Number(openssl) >= 3)('the import in docs/import.md', () => {
  it('brings a key in, with nothing but openssl and grpcurl', async () => {
    const { status, stdout, stderr } = run();
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('"origin": "IMPORTED"');
    expect(stdout).toContain('"state": "SPENT"');
    const { importedVersions } = await operator.keys.getRootKey({ name: /^KEY (.*)$/m.exec(stdout)?.[1] ?? '' });
    expect(importedVersions).toEqual([{ version: 1, present: true, expireTime: expect.any(Date) }]);
  });

  it.each([
    ['another proof', 'openssl rand 32 > $at/proof'],
    ['other material than was proved', 'openssl rand 552 > $at/wrapped'],
  ])('is refused with %s', (_, change) => {
    const { status, stderr } = run(change, blocks.length - 2);
    expect(status).not.toBe(0);
    expect(stderr).toContain('the material was not taken, and the job has one attempt less');
  });
});
