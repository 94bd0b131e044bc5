// A copy of the log in a folder, as an auditor keeps one: checked while it is made, made again where it broke off, and refused when the log
// is not what it was.
import { hash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openArchive } from '../../src/audit/export/archive.ts';
import { openFollower } from '../../src/audit/export/follow.ts';
import { leafHash } from '../../src/audit/merkle.ts';
import { openSigner } from '../../src/audit/note.ts';
import { exportLog } from '../../src/audit/rpc/export-log.ts';
import { splitBundle } from '../../src/audit/tlog-tiles.ts';
import { newLog, signer, type ScratchLog } from './scratch-log.ts';

let log: ScratchLog;
const top = mkdtempSync(join(tmpdir(), 'strongroom-export-'));
beforeAll(async () => {
  log = await newLog(600);
});
afterAll(async () => {
  await log[Symbol.asyncDispose]();
  rmSync(top, { recursive: true });
});

/** Exports into a folder; with `files`, the stream breaks off after so many. Answers the size, and from where it went on. */
const run = async (name: string, files = Infinity, known = signer.verifiers) => {
  const follower = await openFollower(await openArchive(join(top, name)), known);
  const from = follower.size;
  let taken = 0;
  for await (const file of exportLog(log.audit, { fromSize: from })) {
    if (taken++ >= files) break;
    const checkpoint = await follower.take(file);
    if (checkpoint) return { from, size: checkpoint.size };
  }
  return { from, size: undefined };
};
const filesIn = (name: string): string[] =>
  readdirSync(join(top, name), { recursive: true, encoding: 'utf8' })
    .filter((file) => statSync(join(top, name, file)).isFile())
    .sort();
const contentOf = (name: string) =>
  Object.fromEntries(filesIn(name).map((file) => [file, hash('sha256', readFileSync(join(top, name, file)))]));

describe('an export', () => {
  it('has every file of the log and no other, each entry with its hash', async () => {
    expect(await run('first')).toEqual({ from: 0n, size: 600n });
    expect(filesIn('first')).toEqual([
      'checkpoint',
      'tile/0/000',
      'tile/0/001',
      'tile/0/002.p/88',
      'tile/1/000.p/2',
      'tile/entries/000',
      'tile/entries/001',
      'tile/entries/002.p/88',
    ]);
    const [entries, hashes] = ['tile/entries/001', 'tile/0/001'].map((file) => readFileSync(join(top, 'first', file)));
    expect(Buffer.concat(splitBundle(entries!)!.map(leafHash))).toEqual(hashes);
  });

  it('goes on where it was when the log has grown, and what was partial and is full now is gone', async () => {
    cpSync(join(top, 'first'), join(top, 'grown'), { recursive: true });
    await log.grow(200);
    expect(await run('grown')).toEqual({ from: 512n, size: 800n });
    await run('fresh');
    // A partial tile of a signed size stays until it is full.
    const { 'tile/1/000.p/2': partial, ...others } = contentOf('grown');
    expect([partial, others]).toEqual([contentOf('first')['tile/1/000.p/2'], contentOf('fresh')]);
    expect(existsSync(join(top, 'grown/tile/0/002.p'))).toBe(false);
    expect(await run('grown')).toEqual({ from: 768n, size: 800n });
  });

  it.each([0, 1, 2, 3, 5, 6, 7, 8])('that breaks off after %i files has no checkpoint, and the next one completes it', async (files) => {
    const name = `broken-${files}`;
    expect(await run(name, files)).toEqual({ from: 0n, size: undefined });
    expect(existsSync(join(top, name, 'checkpoint'))).toBe(false);
    expect(await run(name)).toMatchObject({ size: 800n });
    expect(contentOf(name)).toEqual(contentOf('fresh'));
  });

  it('of a log without entries is its checkpoint', async () => {
    await using empty = await newLog();
    const follower = await openFollower(await openArchive(join(top, 'empty')), signer.verifiers);
    for await (const file of exportLog(empty.audit, { fromSize: 0n })) await follower.take(file);
    expect(filesIn('empty')).toEqual(['checkpoint']);
  });

  it('from beyond the end of the log, or before its beginning, is refused', async () => {
    for (const fromSize of [-1n, 801n]) {
      await expect(exportLog(log.audit, { fromSize }).next()).rejects.toMatchObject({
        reason: 'INVALID_FIELD',
        violations: [{ field: 'from_size' }],
      });
    }
  });

  it('is refused by who knows another key, also if he has a copy already', async () => {
    const other = openSigner(signer.verifier.name, Buffer.alloc(32, 9)).verifiers;
    await expect(run('other-key', Infinity, other)).rejects.toThrow('not signed with a key in verifierKeys');
    await expect(run('grown', Infinity, other)).rejects.toThrow('the checkpoint in the folder is not signed');
  });
});

describe('a log that is not what it was', () => {
  it('with one entry changed is not exported: a copy gets no new checkpoint', async () => {
    await using changed = await newLog(300);
    await changed.scratch.sql(`update entries set leaf = leaf || '\\x20' where index = 7`);
    const archive = await openArchive(join(top, 'changed'));
    const follower = await openFollower(archive, signer.verifiers);
    const take = async () => {
      for await (const file of exportLog(changed.audit, { fromSize: 0n })) await follower.take(file);
    };
    await expect(take()).rejects.toThrow('the entries of bundle 0 do not have the hashes of the log');
    expect(await archive.checkpoint()).toBeUndefined();
  });

  it.each([
    ['of the same size', 800],
    ['that is longer', 900],
  ])('with another history, signed with its own key, does not go into the copy of the first: one %s', async (_, size) => {
    await using other = await newLog(size);
    const name = `history-${size}`;
    cpSync(join(top, 'fresh'), join(top, name), { recursive: true });
    const follower = await openFollower(await openArchive(join(top, name)), signer.verifiers);
    const take = async () => {
      for await (const file of exportLog(other.audit, { fromSize: follower.size })) await follower.take(file);
    };
    await expect(take()).rejects.toThrow(/do not lead to the root|does not continue/);
    expect(readFileSync(join(top, name, 'checkpoint'))).toEqual(readFileSync(join(top, 'fresh/checkpoint')));
  });

  it('whose old entries were removed after their time is exported all the same: hashes stay, bundles go', async () => {
    await log.scratch.sql('delete from entries where index < 256');
    expect(await run('pruned')).toEqual({ from: 0n, size: 800n });
    expect(filesIn('pruned')).toEqual(filesIn('fresh').filter((file) => file !== 'tile/entries/000'));
  });
});
