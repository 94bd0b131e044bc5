// The log, verified by a program that nobody here wrote, in another language: and what was changed in it, found by that program.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { openArchive } from '../../src/audit/export/archive.ts';
import { openFollower } from '../../src/audit/export/follow.ts';
import { exportLog } from '../../src/audit/rpc/export-log.ts';
import { kindsIn, withFlipped } from '../../src/dev/flip.ts';
import { installFsck, isWhole } from '../../src/dev/fsck.ts';
import { ROOT } from '../../src/dev/stack.ts';
import { verifyLog } from '../../src/dev/verify-log.ts';
import { openScratchLog, signer } from '../support/scratch-log.ts';

const tools = join(ROOT, '.dev/tools');
const installed = installFsck(tools);
if ('why' in installed) process.stderr.write(`the log is not verified by a program of others: ${installed.why}\n`);
const program = 'program' in installed ? installed.program : '';
const top = mkdtempSync(join(tmpdir(), 'strongroom-fsck-'));
afterAll(() => rmSync(top, { recursive: true }));

describe.runIf(program)('fsck of the Tessera project', () => {
  it.each([1, 255, 256, 600])('finds a log of %i entries whole, and a flipped bit in every kind of file', async (entries) => {
    await using log = await openScratchLog(inject('stack'), entries);
    const folder = join(top, String(entries), 'log');
    const follower = await openFollower(await openArchive(folder), signer.verifiers);
    for await (const file of exportLog(log.audit, { fromSize: 0n })) await follower.take(file);
    expect(isWhole(program, folder, signer.verifier.text)).toMatchObject({ whole: true });
    const kinds = Object.entries(kindsIn(folder, BigInt(entries)));
    for (const [kind, file] of kinds) {
      const { whole, said } = withFlipped(file, () => isWhole(program, folder, signer.verifier.text));
      expect(whole, `${kind}: ${said}`).toBe(false);
    }
    if (entries === 600) expect(kinds).toHaveLength(5);
    expect(isWhole(program, folder, signer.verifier.text)).toMatchObject({ whole: true });
  });

  it('finds the log of a running stack whole, as `make verify-log` shows it', { timeout: 120_000 }, async () => {
    const lines: string[] = [];
    await verifyLog(inject('stack'), tools, (line) => lines.push(line));
    expect(lines[0]).toMatch(/^✓ exported \d+ entries of strongroom\.internal\/audit /);
    expect(lines[1]).toContain("Successfully fsck'd log with size");
    expect(lines.slice(2).map((line) => /flipped in a (.*): refused/.exec(line)?.[1])).toEqual(
      expect.arrayContaining(['checkpoint', 'tile of level 0', 'tile of a higher level', 'bundle']),
    );
  });
});
