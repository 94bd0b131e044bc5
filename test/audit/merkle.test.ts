import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  append,
  cover,
  consistencyRanges,
  EMPTY,
  EMPTY_ROOT,
  fold,
  inclusionRanges,
  isConsistent,
  leafHash,
  rootFromInclusion,
  rootOf,
  type Range,
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
/** The hash of a range is the same in every tree that has it, so each is folded once. */
const folded = new Map<string, Buffer>();
const hashesOf = (ranges: readonly Range[]): Buffer[] =>
  ranges.map(({ start, end }) => {
    const known = folded.get(`${start}-${end}`);
    if (known) return known;
    const hashed = fold(
      cover(start, end).map(({ level, index: i }) => {
        const width = 2 ** level;
        return naive.range(Number(i) * width, (Number(i) + 1) * width);
      }),
    );
    folded.set(`${start}-${end}`, hashed);
    return hashed;
  });
const proofOf = (index: number, size: number): Buffer[] => hashesOf(inclusionRanges(BigInt(index), BigInt(size)));
const consistencyOf = (first: number, second: number): Buffer[] => hashesOf(consistencyRanges(BigInt(first), BigInt(second)));
const sized = (size: number) => ({ size: BigInt(size), root: naive.range(0, size) });
const equal = (a: readonly Buffer[], b: readonly Buffer[]) => a.length === b.length && a.every((hash, i) => hash.equals(b[i]!));
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

  it('proves every entry of every tree up to 300 entries, by the very path that the RFC defines', { timeout: 60_000 }, () => {
    const wrong: string[] = [];
    for (let size = 1; size <= 300; size++) {
      for (let index = 0; index < size; index++) {
        const proof = proofOf(index, size);
        const expected = naive.path(index, size);
        const same = equal(proof, expected);
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

describe('consistency', () => {
  it(
    'of every two sizes up to 300 is proved, by the very hashes that the RFC defines; from nothing and to itself by none',
    { timeout: 60_000 },
    () => {
      const wrong: string[] = [];
      for (let second = 0; second <= 300; second++) {
        for (let first = 0; first <= second; first++) {
          const proof = consistencyOf(first, second);
          const expected = first === 0 ? [] : naive.consistency(first, second);
          if (!equal(proof, expected) || !isConsistent(sized(first), sized(second), proof)) wrong.push(`${first} to ${second}`);
        }
      }
      expect(wrong).toEqual([]);
    },
  );

  const pairs = [
    [1, 2],
    [3, 7],
    [4, 7],
    [6, 8],
    [64, 77],
    [41, 77],
    [77, 300],
  ] as const;

  it.each(pairs)('from %i to %i is rejected with any single bit changed, in a hash or in a root', (first, second) => {
    const proof = consistencyOf(first, second);
    const [a, b] = [sized(first), sized(second)];
    for (let bit = 0; bit < 256; bit++) {
      expect(isConsistent({ ...a, root: flip(a.root, bit) }, b, proof)).toBe(false);
      expect(isConsistent(a, { ...b, root: flip(b.root, bit) }, proof)).toBe(false);
      for (let i = 0; i < proof.length; i++) expect(isConsistent(a, b, proof.with(i, flip(proof[i]!, bit)))).toBe(false);
    }
  });

  it.each(pairs)('from %i to %i is not that of any other two sizes, with their own roots', (first, second) => {
    const proof = consistencyOf(first, second);
    for (let size = 0; size <= 300; size++) {
      if (size !== first && size <= second) expect(isConsistent(sized(size), sized(second), proof), `from ${size}`).toBe(false);
      if (size !== second && size >= first) expect(isConsistent(sized(first), sized(size), proof), `to ${size}`).toBe(false);
    }
  });

  it.each(pairs)('from %i to %i is rejected with a hash too many, too few, out of order or of another length', (first, second) => {
    const proof = consistencyOf(first, second);
    const ok = (hashes: Buffer[]) => isConsistent(sized(first), sized(second), hashes);
    expect(ok([...proof, proof[0]!])).toBe(false);
    expect(ok(proof.slice(1))).toBe(false);
    expect(ok(proof.slice(0, -1))).toBe(false);
    expect(ok([])).toBe(false);
    if (proof.length > 1) expect(ok(proof.toReversed())).toBe(false);
    expect(ok(proof.with(0, proof[0]!.subarray(0, 31)))).toBe(false);
  });

  it('takes nothing on trust at its ends: another root of the same size, a proof that is not needed, a log that shrank', () => {
    const other = { size: 7n, root: naive.range(0, 8) };
    expect(isConsistent(sized(7), other, [])).toBe(false);
    expect(isConsistent(sized(7), sized(7), [naive.range(0, 7)])).toBe(false);
    expect(isConsistent(sized(0), sized(7), [naive.range(0, 7)])).toBe(false);
    expect(isConsistent({ size: 0n, root: naive.range(0, 1) }, sized(7), [])).toBe(false);
    expect(isConsistent(sized(8), sized(7), consistencyOf(7, 8))).toBe(false);
    expect(isConsistent({ size: -1n, root: EMPTY_ROOT }, sized(7), [])).toBe(false);
  });
});
