// The README's tour, run as somebody would paste it: all blocks in one shell, with grpcurl where it is installed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ROOT } from '../../src/dev/stack.ts';

const stack = inject('stack');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const tour = readme.slice(readme.indexOf('## A tour with grpcurl'), readme.indexOf('## Honest limits'));
const blocks = [...tour.matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1] ?? '');

/** The same commands on the ports and certificates of the stack under test. */
const placed = (script: string): string =>
  script
    .replaceAll('127.0.0.1:8443', `127.0.0.1:${stack.ports.store}`)
    .replaceAll('127.0.0.1:8445', `127.0.0.1:${stack.ports.audit}`)
    .replaceAll('certs-dev/out', stack.certs);

describe('the tour in the README', () => {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-tour-'));
  const installed = spawnSync('grpcurl', ['-version']).status === 0;
  let shown: string[] = [];

  beforeAll(() => {
    if (!installed) {
      const program = JSON.stringify(join(ROOT, 'test/support/grpcurl.ts'));
      writeFileSync(join(folder, 'grpcurl'), `#!/bin/sh\nexec node ${program} "$@"\n`, { mode: 0o755 });
    }
    const script = `set -euo pipefail\n${blocks.map((block) => `${placed(block)}\necho =====\n`).join('')}`;
    const path = [folder, join(ROOT, 'node_modules/.bin'), process.env['PATH']].join(delimiter);
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
      encoding: 'utf8',
      cwd: ROOT,
      env: { ...process.env, PATH: path },
    });
    expect(status, stderr).toBe(0);
    shown = [...stdout.split('=====\n'), stderr];
  }, 120_000);
  afterAll(() => rmSync(folder, { recursive: true }));

  it('lists the services, and describes one', () => {
    expect(shown[1]).toContain('strongroom.secrets.v1.InstanceService');
    expect(shown[1]).toContain('AccessSecretVersion');
  });

  it('makes an instance, a group and bindings', () => {
    expect(shown[2]).toContain('keyRings/provider/keys/');
    expect(shown[2]).toContain('ROLE_SECRETS_READER');
  });

  it('reads the old and the new version', () => {
    const values = [...(shown[3] ?? '').matchAll(/"text": "([^"]+)"/g)].map((match) => match[1]);
    expect(values).toEqual(['correct horse', 'correct horse', 'battery staple']);
  });

  it('refuses app2, and says why', () => {
    expect(shown.at(-1)).toMatch(/PERMISSION_?DENIED|permission_denied/i);
  });

  it('shows the entries, the refusal too, and a receipt', () => {
    expect(shown[5]).toContain('DENIED');
    expect(shown[5]).toContain('c2sp.org/tlog-proof@v1');
  });

  it('shows the purge, done', () => {
    expect(shown[6]).toContain('"state": "DELETED"');
    expect(shown[6]).toContain('"state": "DONE"');
    expect(shown[6]).toContain('"secretsRemovedCount": "1"');
  });
});
