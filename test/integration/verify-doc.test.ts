// What docs/verify.md tells an auditor to paste works as it stands, and refuses what it should.
import { spawnSync } from 'node:child_process';
import { describe, expect, inject, it } from 'vitest';
import { blocksOf, runBlocks } from '../support/documents.ts';

const stack = inject('stack');
const blocks = blocksOf('docs/verify.md');
/** The library is fetched once; without a network it may be here from before. */
const { status: found, stderr } = spawnSync('go', ['mod', 'download', 'filippo.io/torchwood@v0.9.0'], {
  encoding: 'utf8',
  timeout: 120_000,
});
if (found !== 0) process.stderr.write(`docs/verify.md is not run: ${stderr?.trim().split('\n').at(-1) || 'there is no Go here'}\n`);

describe.runIf(found === 0)('the offline check of a receipt in docs/verify.md', () => {
  it('accepts the receipt of an entry, and refuses another entry, another root and another key', { timeout: 120_000 }, () => {
    const refused = (change: string) => `(cd $at && ${change} && ./check) 2>&1 && echo ACCEPTED; (cd $at && cp kept/* .)`;
    const ran = runBlocks(stack, [
      ...blocks,
      '(cd $at && mkdir kept && cp *.json policy kept)',
      refused(`sed -i 's/"leaf": *"ey/"leaf": "eY/' GetEntry.json`),
      refused(`sed -i 's/index 0/index 1/' GetInclusionProof.json`),
      refused(`sed -i -E 's/(internal.audit.n[0-9]+.n)(.)/\\1A\\2/' GetInclusionProof.json`),
      refused(`sed -i 's#^log .*#log example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k#' policy`),
      'rm -r "$at"',
    ]);
    expect(ran.status, ran.stderr).toBe(0);
    expect(blocks).toHaveLength(6);
    expect(ran.shown[5]).toMatch(/^in the log: \{"action":/);
    for (const [i, said] of ran.shown.slice(7, 11).entries()) {
      expect(said, `change ${i}: ${ran.stderr}`).not.toContain('ACCEPTED');
      expect(said).toContain('REFUSED');
    }
  });
});
