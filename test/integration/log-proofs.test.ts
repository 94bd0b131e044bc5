// Proofs between two checkpoints of a log, and at earlier ones, checked with nothing but what a caller gets.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseCheckpoint, parseReceipt } from '../../src/audit/checkpoint.ts';
import { EMPTY_ROOT, isConsistent, leafHash, rootFromInclusion } from '../../src/audit/merkle.ts';
import { openNote } from '../../src/audit/note.ts';
import { getConsistencyProof } from '../../src/audit/rpc/get-consistency-proof.ts';
import { getEntry } from '../../src/audit/rpc/get-entry.ts';
import { getInclusionProof } from '../../src/audit/rpc/get-inclusion-proof.ts';
import { READER } from '../support/audit-reader.ts';
import { newLog, signer, type ScratchLog } from './scratch-log.ts';

const STEPS = [1, 2, 252, 1, 1, 255, 88];
const sizes = STEPS.map((_, i) => BigInt(STEPS.slice(0, i + 1).reduce((sum, n) => sum + n, 0)));
let log: ScratchLog;
/** What somebody outside has kept of each size. */
const kept = new Map<bigint, Buffer>([[0n, EMPTY_ROOT]]);

const signed = (note: string) => parseCheckpoint(openNote(note, signer.verifier) ?? '')!;

beforeAll(async () => {
  log = await newLog();
  for (const step of STEPS) {
    await log.grow(step);
    const { size, root } = signed((await log.writer.current()).checkpoint.note);
    kept.set(size, root);
  }
});
afterAll(() => log[Symbol.asyncDispose]());

describe('a consistency proof', () => {
  it('shows of every checkpoint that every later one continues it', async () => {
    for (const [firstSize, firstRoot] of kept) {
      for (const secondSize of sizes.filter((size) => size >= firstSize && size > 0n)) {
        const { hashes, checkpoint } = await getConsistencyProof(log.audit, { firstSize, secondSize });
        const second = signed(checkpoint!.note);
        expect(second).toMatchObject({ size: secondSize, root: kept.get(secondSize) });
        expect(isConsistent({ size: firstSize, root: firstRoot }, second, hashes), `${firstSize} to ${secondSize}`).toBe(true);
      }
    }
  });

  it('leads to the newest checkpoint if no other is asked for, and from nothing it is empty', async () => {
    const { hashes, checkpoint } = await getConsistencyProof(log.audit, { firstSize: 0n, secondSize: 0n });
    expect([hashes, checkpoint?.treeSize]).toEqual([[], sizes.at(-1)]);
  });

  it.each([
    [-1n, 0n, 'INVALID_FIELD'],
    [601n, 0n, 'INVALID_FIELD'],
    [4n, 3n, 'INVALID_FIELD'],
    [0n, -1n, 'INVALID_FIELD'],
    [0n, 601n, 'NOT_FOUND'],
    [0n, 2n, 'NOT_FOUND'],
  ])('from %i to %i is refused with %s', async (firstSize, secondSize, reason) => {
    await expect(getConsistencyProof(log.audit, { firstSize, secondSize })).rejects.toMatchObject({ reason });
  });
});

describe('an inclusion proof', () => {
  it('can be had at every checkpoint that has the entry, as a receipt with that checkpoint', async () => {
    for (const treeSize of sizes) {
      for (const index of new Set([0n, 2n, 254n, 255n, 256n, 300n, treeSize - 1n].filter((i) => i < treeSize))) {
        const { receipt } = await getInclusionProof(log.audit, { index, treeSize, cosigned: false }, READER);
        const { hashes, note } = parseReceipt(receipt)!;
        const { size, root } = signed(note);
        expect([size, root]).toEqual([treeSize, kept.get(treeSize)]);
        const { leaf } = await getEntry(log.audit, { index }, READER);
        expect(rootFromInclusion(index, size, leafHash(leaf), hashes), `${index} of ${treeSize}`).toEqual(root);
      }
    }
  });

  it.each([
    [3n, 3n, false, 'INVALID_FIELD'],
    [0n, -1n, false, 'INVALID_FIELD'],
    [0n, 2n, false, 'NOT_FOUND'],
    [600n, 0n, false, 'NOT_FOUND'],
    [0n, 3n, true, 'INVALID_FIELD'],
    [0n, 0n, true, 'NOT_COSIGNED'],
  ])('of entry %i at size %i, cosigned %s, is refused with %s', async (index, treeSize, cosigned, reason) => {
    await expect(getInclusionProof(log.audit, { index, treeSize, cosigned }, READER)).rejects.toMatchObject({ reason });
  });
});

describe('an earlier checkpoint that somebody has written into the database', () => {
  it('is neither proved nor signed again: the log does not continue it', async () => {
    await log.scratch.sql(`update checkpoints set root = sha256(root) where size = 256`);
    for (const firstSize of [0n, 3n, 256n])
      await expect(getConsistencyProof(log.audit, { firstSize, secondSize: 256n })).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
    await expect(getInclusionProof(log.audit, { index: 1n, treeSize: 256n, cosigned: false }, READER)).rejects.toMatchObject({
      reason: 'DATA_CORRUPTED',
    });
  });

  it('has no proof either if a tile fits it', async () => {
    await log.scratch.sql(`update tiles set hashes = set_byte(hashes, 33, (get_byte(hashes, 33) + 1) % 256) where tile = 0`);
    await expect(getConsistencyProof(log.audit, { firstSize: 3n, secondSize: 0n })).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
    await expect(getConsistencyProof(log.audit, { firstSize: 257n, secondSize: 0n })).resolves.toBeDefined();
  });
});
