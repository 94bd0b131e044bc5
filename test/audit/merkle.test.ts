import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  append,
  cover,
  EMPTY,
  EMPTY_ROOT,
  fold,
  inclusionRanges,
  leafHash,
  rootFromInclusion,
  rootOf,
  type Tree,
} from '../../src/audit/merkle.ts';
import { naiveTree } from './naive.ts';

const reference = JSON.parse(readFileSync(new URL('../vectors/audit/rfc6962.json', import.meta.url), 'utf8')) as {
  leaves: string[];
  roots: Record<string, string>;
};

const leaves = Array.from({ length: 300 }, (_, i) => leafHash(Buffer.from(`entry ${i}`)));
const naive = naiveTree(leaves);
const grow = (hashes: readonly Buffer[]): Tree => hashes.reduce(append, EMPTY);
const proofOf = (index: number, size: number): Buffer[] =>
  inclusionRanges(BigInt(index), BigInt(size)).map(({ start, end }) =>
    fold(
      cover(start, end).map(({ level, index: i }) => {
        const width = 2 ** level;
        return naive.range(Number(i) * width, (Number(i) + 1) * width);
      }),
    ),
  );
const flip = (hash: Buffer, bit: number): Buffer => {
  const changed = Buffer.from(hash);
  changed[bit >> 3]! ^= 1 << (bit & 7);
  return changed;
};

describe('the Merkle tree', () => {
  it('has the roots of the RFC 6962 reference tree at every size', () => {
    const hashes = reference.leaves.map((leaf) => leafHash(Buffer.from(leaf, 'hex')));
    for (const [size, root] of Object.entries(reference.roots)) {
      expect(rootOf(grow(hashes.slice(0, Number(size)))).toString('hex'), `size ${size}`).toBe(root);
    }
    expect(EMPTY_ROOT.toString('hex')).toBe(reference.roots['0']);
  });

  it('grows to the root that the RFC defines, for every size up to 300, with one hash kept for each bit of the size', () => {
    let tree = EMPTY;
    for (const [i, leaf] of leaves.entries()) {
      tree = append(tree, leaf);
      expect(tree.size).toBe(BigInt(i + 1));
      expect(tree.frontier.length).toBe((i + 1).toString(2).replaceAll('0', '').length);
      expect(rootOf(tree).equals(naive.range(0, i + 1)), `size ${i + 1}`).toBe(true);
    }
  });

  it('leaves the tree before an append as it was', () => {
    const before = grow(leaves.slice(0, 7));
    const root = rootOf(before);
    append(before, leaves[7]!);
    expect(rootOf(before)).toEqual(root);
  });

  it('proves every entry of every tree up to 130 entries, by the very path that the RFC defines', () => {
    const wrong: string[] = [];
    for (let size = 1; size <= 130; size++) {
      for (let index = 0; index < size; index++) {
        const proof = proofOf(index, size);
        const expected = naive.path(index, size);
        const same = proof.length === expected.length && proof.every((hash, i) => hash.equals(expected[i]!));
        const root = rootFromInclusion(BigInt(index), BigInt(size), leaves[index]!, proof);
        if (!same || !root?.equals(naive.range(0, size))) wrong.push(`${index} of ${size}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('rejects a proof with any single bit changed, in a hash or in the leaf', () => {
    const [index, size] = [41, 77];
    const proof = proofOf(index, size);
    const root = naive.range(0, size);
    const leads = (leaf: Buffer, hashes: Buffer[]) => rootFromInclusion(BigInt(index), BigInt(size), leaf, hashes)?.equals(root) ?? false;
    expect(leads(leaves[index]!, proof)).toBe(true);
    for (let bit = 0; bit < 256; bit++) {
      expect(leads(flip(leaves[index]!, bit), proof), `bit ${bit} of the leaf`).toBe(false);
      for (let i = 0; i < proof.length; i++) {
        expect(leads(leaves[index]!, proof.with(i, flip(proof[i]!, bit))), `bit ${bit} of hash ${i}`).toBe(false);
      }
    }
  });

  it('rejects a proof for any other index of its tree, and for the tree of any other size', () => {
    const [index, size] = [41, 77];
    const proof = proofOf(index, size);
    const leads = (i: number, n: number, root: Buffer) =>
      rootFromInclusion(BigInt(i), BigInt(n), leaves[index]!, proof)?.equals(root) ?? false;
    for (let other = 0; other < size; other++) {
      if (other !== index) expect(leads(other, size, naive.range(0, size)), `index ${other}`).toBe(false);
    }
    for (let other = 1; other <= 300; other++) {
      if (other !== size) expect(leads(index, other, naive.range(0, other)), `size ${other}`).toBe(false);
      // A size of another path length is refused whatever the root.
      if (other <= 64 || other > 128) expect(leads(index, other, naive.range(0, size)), `size ${other}, root of ${size}`).toBe(false);
    }
  });

  it('rejects a proof with a hash too many, too few, out of order or of another length, and an index outside the tree', () => {
    const [index, size] = [41n, 77n];
    const proof = proofOf(41, 77);
    const root = naive.range(0, 77);
    const leads = (hashes: Buffer[], i = index, n = size) => rootFromInclusion(i, n, leaves[41]!, hashes)?.equals(root) ?? false;
    expect(rootFromInclusion(index, size, leaves[41]!, [...proof, root])).toBeUndefined();
    expect(rootFromInclusion(index, size, leaves[41]!, proof.slice(0, -1))).toBeUndefined();
    expect(leads(proof.slice(1))).toBe(false);
    expect(leads(proof.toReversed())).toBe(false);
    expect(leads(proof.with(0, proof[0]!.subarray(0, 31)))).toBe(false);
    expect(leads(proof, 77n)).toBe(false);
    expect(leads(proof, -1n)).toBe(false);
    expect(rootFromInclusion(0n, 0n, leaves[0]!, [])).toBeUndefined();
  });
});
