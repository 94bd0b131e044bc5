// The log before a witness that nobody here wrote. In the long suite only: its database driver takes Go a minute to compile.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { readNote } from '../../src/audit/note.ts';
import { openPublication } from '../../src/audit/publication.ts';
import { getCheckpoint } from '../../src/audit/rpc/get-checkpoint.ts';
import { openWitnesses } from '../../src/audit/witness.ts';
import { installLitewitness, openLitewitness, type Litewitness } from '../support/litewitness.ts';
import { newLog, signer, type ScratchLog } from './scratch-log.ts';
import { silentLog } from './scratch.ts';

const missing = process.env['STRONGROOM_CRASH'] === 'all' ? installLitewitness() : 'STRONGROOM_CRASH=all runs it';
if (missing !== undefined) process.stderr.write(`litewitness is not run: ${missing}\n`);

describe.runIf(missing === undefined)('litewitness', () => {
  let log: ScratchLog;
  let witness: Litewitness;
  beforeAll(async () => {
    log = await newLog(5);
    witness = await openLitewitness(signer.verifier);
  });
  afterAll(async () => {
    await witness[Symbol.asyncDispose]();
    await log[Symbol.asyncDispose]();
  });

  const publish = () => {
    const alarms: string[] = [];
    const witnesses = { members: [{ name: 'lite', verifier: witness.verifier, url: witness.url }], quorum: 1 };
    const publication = openPublication(signer, undefined, witnesses);
    const { db, writer } = log;
    const alarm = async (_: string, what: string) => void alarms.push(what);
    const loop = openWitnesses({ witnesses, origin: signer.verifier.name, db, writer, publication, log: silentLog, alarm });
    loop.kick();
    return { alarms, kick: () => loop.kick(), [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose]() };
  };

  it('cosigns checkpoint after checkpoint, and goes on where it was for a log that has just started', async () => {
    for (const entries of [0, 1, 300]) {
      const size = entries === 0 ? 5n : await log.grow(entries);
      // Each time a publisher that knows nothing of the one before.
      await using publisher = publish();
      await vi.waitFor(async () => expect((await getCheckpoint(log.audit, { cosigned: true })).treeSize).toBe(size), { timeout: 5_000 });
      expect(publisher.alarms).toEqual([]);
    }
    const { note, rootHash } = await getCheckpoint(log.audit, { cosigned: true });
    expect(readNote(note, [witness.verifier])?.verified).toHaveLength(1);
    expect(witness.remembered()).toEqual({ size: 306n, root: rootHash.toString('base64') });
  });

  it.each([
    ['another root of the same size', 306n, 'refuses to cosign size 306'],
    ['another beginning of the log', 100n, 'refuses to cosign size 306 after size 100'],
    ['more entries than there are', 400n, 'has cosigned size 400, and the log has 306'],
  ])('that knows %s does not cosign, and there is an alarm', async (_, size, what) => {
    witness.remember(size, Buffer.alloc(32, 1));
    await using publisher = publish();
    await vi.waitFor(() => expect(publisher.alarms[0]).toContain(what), { timeout: 5_000 });
    expect(witness.remembered().size).toBe(size);
  });
});
