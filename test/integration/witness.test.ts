// Witnesses and the log: what they cosign, what they refuse, and that nobody who appends ever waits for them.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { parseCheckpoint, parseReceipt } from '../../src/audit/checkpoint.ts';
import { readNote } from '../../src/audit/note.ts';
import { openPublication } from '../../src/audit/publication.ts';
import { getCheckpoint } from '../../src/audit/rpc/get-checkpoint.ts';
import { getInclusionProof } from '../../src/audit/rpc/get-inclusion-proof.ts';
import { openWitnesses } from '../../src/audit/witness.ts';
import { READER } from '../support/audit-reader.ts';
import { newLog, signer, type ScratchLog } from './scratch-log.ts';
import { openWitness, type Answer, type TestWitness } from '../support/witness.ts';
import { silentLog } from './scratch.ts';

let log: ScratchLog;
beforeAll(async () => {
  log = await newLog();
});
afterAll(() => log[Symbol.asyncDispose]());

/** The publisher of the log, asking these; stopped at the end of the test. */
const publish = (members: readonly TestWitness[], quorum: number) => {
  const alarms: string[] = [];
  const witnesses = { members: members.map(({ url, verifier }, i) => ({ name: `w${i}`, verifier, url })), quorum };
  const { db, writer } = log;
  const publication = openPublication(signer, undefined, witnesses);
  const alarm = async (witness: string, what: string) => void alarms.push(`${witness} ${what}`);
  const loop = openWitnesses({ witnesses, origin: signer.verifier.name, db, writer, publication, log: silentLog, alarm });
  loop.kick();
  return { alarms, kick: () => loop.kick(), [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose]() };
};
const cosigned = async (): Promise<bigint> => (await getCheckpoint(log.audit, { cosigned: true }).catch(() => undefined))?.treeSize ?? -1n;
const until = (size: bigint) => vi.waitFor(async () => expect(await cosigned()).toBe(size), { timeout: 8_000, interval: 50 });
const cosigners = async (known: readonly TestWitness[]): Promise<string[]> => {
  const { note } = await getCheckpoint(log.audit, { cosigned: true });
  return readNote(note, [signer.verifier, ...known.map(({ verifier }) => verifier)])!.verified.map(({ verifier }) => verifier.name);
};

describe('a log with witnesses', () => {
  it('says so as long as they have cosigned nothing, or not the entry that is asked for', async () => {
    await expect(getCheckpoint(log.audit, { cosigned: true })).rejects.toMatchObject({ reason: 'NOT_COSIGNED' });
    await log.grow(5);
    await expect(getInclusionProof(log.audit, { index: 2n, treeSize: 0n, cosigned: true }, READER)).rejects.toMatchObject({
      reason: 'NOT_COSIGNED',
    });
  });

  it('has its newest checkpoint cosigned, again and again as it grows, with Ed25519 and with ML-DSA-44', async () => {
    await using first = await openWitness('witness.example/one', signer.verifier);
    await using second = await openWitness('witness.example/two', signer.verifier, 'ml-dsa-44');
    await using publisher = publish([first, second], 2);
    await until(5n);
    for (const entries of [1, 250, 1, 300]) {
      const size = await log.grow(entries);
      publisher.kick();
      await until(size);
    }
    expect(await cosigners([first, second])).toEqual([signer.verifier.name, first.verifier.name, second.verifier.name]);
    expect(first.answers).toEqual([200, 200, 200, 200, 200]);
    expect(first.last()).toMatchObject({ size: 557n });
    expect(publisher.alarms).toEqual([]);
  });

  it('gives receipts that carry the cosignatures', async () => {
    await log.grow(3);
    const { receipt, checkpoint } = await getInclusionProof(log.audit, { index: 300n, treeSize: 0n, cosigned: true }, READER);
    const { note } = parseReceipt(receipt)!;
    expect(note).toBe(checkpoint?.note);
    expect(note.match(/^\u2014 /gm)).toHaveLength(3);
    expect(parseCheckpoint(readNote(note, [signer.verifier])!.text)?.size).toBe(557n);
    await expect(getInclusionProof(log.audit, { index: 558n, treeSize: 0n, cosigned: true }, READER)).rejects.toMatchObject({
      reason: 'NOT_COSIGNED',
    });
  });

  it('finds out by itself where a witness is that it has not asked since its start', async () => {
    await using witness = await openWitness('witness.example/three', signer.verifier);
    const { size, root } = (await log.writer.current()).checkpoint;
    witness.remember({ size, root });
    const grown = await log.grow(10);
    await using publisher = publish([witness], 1);
    await until(grown);
    expect(witness.answers).toEqual([409, 200]);
    expect(publisher.alarms).toEqual([]);
  });
});

describe('a witness that knows another history', () => {
  it.each([
    ['another root of the same size', 0n, 'refuses to cosign size'],
    ['more entries than the log has', 5n, 'and the log has'],
  ])('of %s raises the alarm, once, and the checkpoint is not given out as cosigned', async (_, ahead, what) => {
    const size = await log.grow(1);
    await using witness = await openWitness('witness.example/four', signer.verifier);
    witness.remember({ size: size + ahead, root: Buffer.alloc(32, 1) });
    const before = await cosigned();
    await using publisher = publish([witness], 1);
    await vi.waitFor(() => expect(publisher.alarms).toHaveLength(1), { timeout: 5_000 });
    expect(publisher.alarms[0]).toContain(what);
    // It is asked again after a while, and says the same.
    const asked = witness.answers.length;
    await vi.waitFor(() => expect(witness.answers.length).toBeGreaterThan(asked), { timeout: 5_000 });
    expect(publisher.alarms).toHaveLength(1);
    expect(await cosigned()).toBe(before);
  });
});

describe('a witness that does not do its work', () => {
  const nonsense: readonly (readonly [string, (body: string) => Answer | undefined])[] = [
    ['is dead', () => undefined],
    ['answers 404', () => ({ status: 404, body: '' })],
    ['answers 500', () => ({ status: 500, body: 'oops' })],
    ['signs with a key that nobody knows', () => ({ status: 200, body: `\u2014 somebody ${Buffer.alloc(76).toString('base64')}\n` })],
    ['gives no signature', () => ({ status: 200, body: '' })],
    ['puts words into the note', (body) => ({ status: 200, body: `\n${body.slice(body.indexOf('\n\n') + 2)}` })],
    ['tells sizes that are none', () => ({ status: 409, body: '-1\n' })],
    ['tells one size after another', (body) => ({ status: 409, body: body.startsWith('old 1\n') ? '2\n' : '1\n' })],
    ['talks without end', () => ({ status: 200, body: 'x'.repeat(100_000) })],
    ['sends elsewhere', () => ({ status: 302, body: '' })],
  ];

  it('keeps no append waiting, and no other witness: the quorum is reached without it', async () => {
    await using good = await openWitness('witness.example/good', signer.verifier);
    const bad = await Promise.all(
      nonsense.map(async ([, intervene], i) => Object.assign(await openWitness(`witness.example/bad${i}`, signer.verifier), { intervene })),
    );
    {
      const before = await cosigned();
      await using publisher = publish([good, ...bad], 1);
      const began = performance.now();
      for (let i = 0; i < 20; i++) await log.grow(1);
      expect(performance.now() - began).toBeLessThan(2_000);
      await vi.waitFor(async () => expect(await cosigned()).toBeGreaterThan(before), { timeout: 5_000, interval: 50 });
      expect(await cosigners([good, ...bad])).toEqual([signer.verifier.name, good.verifier.name]);
      expect(publisher.alarms).toEqual([]);
    }
    for (const each of bad) await each[Symbol.asyncDispose]();
  });
});
