// The log, verified by a program that nobody here wrote, in another language: and what was changed in it, found by that program.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { openArchive } from '../../src/audit/export/archive.ts';
import { openFollower } from '../../src/audit/export/follow.ts';
import { exportLog } from '../../src/audit/rpc/export-log.ts';
import { kindsIn, withFlipped } from '../../src/dev/flip.ts';
import { installFsck, isWhole } from '../../src/dev/fsck.ts';
import { MAIN, ROOT } from '../../src/dev/stack.ts';
import { verifyLog } from '../../src/dev/verify-log.ts';
import { newLog, signer } from './scratch-log.ts';

const tools = join(ROOT, '.dev/tools');
const installed = installFsck(tools);
if ('why' in installed) process.stderr.write(`the log is not verified by a program of others: ${installed.why}\n`);
const program = 'program' in installed ? installed.program : '';
const top = mkdtempSync(join(tmpdir(), 'strongroom-fsck-'));
afterAll(() => rmSync(top, { recursive: true }));

describe.runIf(program)('fsck of the Tessera project', () => {
  it.each([1, 255, 256, 600])('finds a log of %i entries whole, and a flipped bit in every kind of file', async (entries) => {
    await using log = await newLog(entries);
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
    const stack = inject('stack');
    await verifyLog(stack, tools, (line) => lines.push(line));
    expect(lines[0]).toMatch(/^✓ exported \d+ entries of strongroom\.internal\/audit /);
    expect(lines[1]).toContain("Successfully fsck'd log with size");
    expect(lines.slice(2).map((line) => /flipped in a (.*): refused/.exec(line)?.[1])).toEqual(
      expect.arrayContaining(['checkpoint', 'tile of level 0', 'tile of a higher level', 'bundle']),
    );
    // The command goes on with that folder, and not under the key of somebody else.
    const at = join(stack.state, 'verify-log');
    const run = (config: string) => spawnSync('node', [MAIN, 'export-log', config, join(at, 'log')], { encoding: 'utf8' });
    const again = run(join(at, 'export.json'));
    expect([again.status, again.stdout], again.stderr).toEqual([
      0,
      expect.stringMatching(/^✓ .* has all \d+ entries of strongroom\.internal\/audit/),
    ]);
    const config = JSON.parse(readFileSync(join(at, 'export.json'), 'utf8')) as object;
    writeFileSync(join(at, 'other.json'), JSON.stringify({ ...config, verifierKeys: [signer.verifier.text] }));
    const other = run(join(at, 'other.json'));
    expect([other.status, other.stderr]).toEqual([
      1,
      'strongroom: the checkpoint in the folder is not signed with a key in verifierKeys\n',
    ]);
  });
});
