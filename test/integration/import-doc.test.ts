// What docs/import.md tells a customer to paste works as it stands.
import { spawnSync } from 'node:child_process';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { clientsOf } from '../support/clients.ts';
import { blocksOf, runBlocks } from '../support/documents.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
afterAll(() => operator[Symbol.dispose]());

const blocks = blocksOf('docs/import.md');
const openssl = /^OpenSSL (\d+)/.exec(spawnSync('openssl', ['version'], { encoding: 'utf8' }).stdout ?? '')?.[1];

/** The blocks, with something before one of them. */
const run = (before = '', at = 0) =>
  runBlocks(stack, [...blocks.map((block, i) => (i === at ? `${before}\n${block}` : block)), 'echo "KEY $ring/keys/$id"; rm -r "$at"']);

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
