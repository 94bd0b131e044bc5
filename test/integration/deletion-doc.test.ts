// What docs/deletion.md tells an auditor to paste works as it stands: all blocks in one shell, with grpcurl where it is installed.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { ROOT } from '../../src/dev/stack.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { clientsOf } from '../support/clients.ts';
import { fresh, newTenant } from '../support/tenants.ts';
import { reaches } from '../worker/purges.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const folder = mkdtempSync(join(tmpdir(), 'strongroom-deletion-'));
afterAll(() => {
  operator[Symbol.dispose]();
  rmSync(folder, { recursive: true });
});

const document = readFileSync(join(ROOT, 'docs/deletion.md'), 'utf8');
const blocks = [...document.matchAll(/```sh\n(.*?)```/gs)].map((match) => match[1] ?? '');
const hasPython = spawnSync('python3', ['-c', 'import cryptography']).status === 0;

/** The blocks on the ports and certificates of the stack under test, with something in between. */
const run = (between = '') => {
  if (spawnSync('grpcurl', ['-version']).status !== 0) {
    const program = JSON.stringify(join(ROOT, 'test/support/grpcurl.ts'));
    writeFileSync(join(folder, 'grpcurl'), `#!/bin/sh\nexec node ${program} "$@"\n`, { mode: 0o755 });
  }
  const script = `set -euo pipefail\n${blocks.join(`\n${between}\n`)}\nrm -r "$at"\n`
    .replaceAll('127.0.0.1:8443', `127.0.0.1:${stack.ports.store}`)
    .replaceAll('127.0.0.1:8445', `127.0.0.1:${stack.ports.audit}`)
    .replaceAll('certs-dev/out', stack.certs);
  const path = [folder, join(ROOT, 'node_modules/.bin'), process.env['PATH']].join(delimiter);
  return spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: ROOT, env: { ...process.env, PATH: path } });
};

describe.runIf(hasPython)('the offline check of a receipt in docs/deletion.md', () => {
  it('accepts a receipt, and tells what was purged', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1 });
    await operator.groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    await reaches(operator, tenant.groupUid, Purge_State.DONE);
    const { status, stdout, stderr } = run();
    expect(status, stderr).toBe(0);
    expect(stdout).toMatch(/entry \d+ of \d+ of strongroom.internal\/audit: secrets\.(instance|group|secret)\.purge instances\//);
    expect(stdout).toContain('keysDestroyedTime');
  });

  it.each([
    ['an entry of another content', `sed -i 's/"leaf": *"ey/"leaf": "eY/' $at/entry.json`, 'the entry is not in this log'],
    ['a checkpoint that says more', `sed -i 's/internal.audit.n[0-9]*.n/&9/' $at/purges.json`, 'Invalid'],
    ['another log’s key', `sed -i 's/"verifierKey": *"strongroom/&2/' $at/checkpoint.json`, 'another log'],
  ])('refuses %s', (_, change, complaint) => {
    const { status, stderr } = run(change);
    expect(status).not.toBe(0);
    expect(stderr).toContain(complaint);
  });
});
