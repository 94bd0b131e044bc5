// What docs/deletion.md tells an auditor to paste works as it stands.
import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { clientsOf } from '../support/clients.ts';
import { blocksOf, runBlocks } from '../support/documents.ts';
import { fresh, newTenant } from '../support/tenants.ts';
import { reaches } from '../worker/purges.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
afterAll(() => operator[Symbol.dispose]());

const blocks = blocksOf('docs/deletion.md');
const hasPython = spawnSync('python3', ['-c', 'import cryptography']).status === 0;

/** The blocks, with something in between. */
const run = (between = '') => runBlocks(stack, [...blocks.flatMap((block) => [block, between]), 'rm -r "$at"']);

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
