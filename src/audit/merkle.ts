// The Merkle tree of RFC 6962, section 2.1: hashes, appending, proofs of inclusion and consistency and their checks. Pure.
import { hash } from 'node:crypto';

export const HASH_BYTES = 32;

const sha256 = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer');

/** SHA-256 of nothing. */
export const EMPTY_ROOT = sha256(Buffer.alloc(0));

export const leafHash = (leaf: Uint8Array): Buffer => sha256(Buffer.concat([Buffer.of(0), leaf]));

export const nodeHash = (left: Uint8Array, right: Uint8Array): Buffer => sha256(Buffer.concat([Buffer.of(1), left, right]));

/** A tree as its perfect subtrees, largest first: one hash for each bit that is set in the size. */
export interface Tree {
  readonly size: bigint;
  readonly frontier: readonly Buffer[];
}

export const EMPTY: Tree = { size: 0n, frontier: [] };

export const append = ({ size, frontier }: Tree, leaf: Buffer): Tree => {
  const next = [...frontier];
  let hashed = leaf;
  // Each trailing one bit of the size is a perfect subtree that is complete with the new one.
  for (let bits = size; bits & 1n; bits >>= 1n) hashed = nodeHash(next.pop()!, hashed);
  next.push(hashed);
  return { size: size + 1n, frontier: next };
};

export const rootOf = ({ frontier }: Tree): Buffer => {
  const last = frontier.at(-1);
  return last ? frontier.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last) : EMPTY_ROOT;
};

/** What a checkpoint says of a tree. */
export interface Sized {
  readonly size: bigint;
  readonly root: Buffer;
}

/** A perfect subtree: 2^level leaves from index × 2^level on. */
export interface Node {
  level: number;
  index: bigint;
}

/** The largest power of two below `n`, as its exponent. */
const splitLevel = (n: bigint): number => (n - 1n).toString(2).length - 1;

/** The perfect subtrees whose hashes, folded from the right, make the hash of the leaves [start, end). */
export const cover = (start: bigint, end: bigint): Node[] => {
  const nodes: Node[] = [];
  for (let from = start; from < end;) {
    let level = splitLevel(end - from + 1n);
    while (from % (1n << BigInt(level)) !== 0n) level--;
    nodes.push({ level, index: from >> BigInt(level) });
    from += 1n << BigInt(level);
  }
  return nodes;
};

export const fold = (hashes: readonly Buffer[]): Buffer => {
  const last = hashes.at(-1);
  return last ? hashes.slice(0, -1).reduceRight((right, left) => nodeHash(left, right), last) : EMPTY_ROOT;
};

export interface Range {
  readonly start: bigint;
  readonly end: bigint;
}

/** The ranges of leaves whose hashes prove that leaf `index` is in a tree of `size` leaves, from the leaf upward. */
export const inclusionRanges = (index: bigint, size: bigint): Range[] => {
  const ranges: Range[] = [];
  for (let start = 0n, end = size; end - start > 1n;) {
    const middle = start + (1n << BigInt(splitLevel(end - start)));
    if (index < middle) {
      ranges.unshift({ start: middle, end });
      end = middle;
    } else {
      ranges.unshift({ start, end: middle });
      start = middle;
    }
  }
  return ranges;
};

/** The root that an inclusion proof leads to (RFC 9162, section 2.1.3.2); undefined if it has the wrong shape. */
export const rootFromInclusion = (index: bigint, size: bigint, leaf: Buffer, proof: readonly Buffer[]): Buffer | undefined => {
  if (index < 0n || index >= size) return undefined;
  let fn = index;
  let sn = size - 1n;
  let root = leaf;
  for (const sibling of proof) {
    if (sn === 0n || sibling.length !== HASH_BYTES) return undefined;
    if (fn & 1n || fn === sn) {
      root = nodeHash(sibling, root);
      while (!(fn & 1n) && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      root = nodeHash(root, sibling);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n ? root : undefined;
};

/** The ranges of leaves whose hashes prove that the tree of `first` leaves is the beginning of the tree of `second` leaves. */
export const consistencyRanges = (first: bigint, second: bigint): Range[] => {
  // The empty tree is the beginning of every tree, and a tree of itself.
  if (first <= 0n || first >= second) return [];
  const ranges: Range[] = [];
  let [start, end, whole] = [0n, second, true];
  // Down to the subtree that ends where the first tree does; what it leaves on the way is the proof, from below.
  while (first < end) {
    const middle = start + (1n << BigInt(splitLevel(end - start)));
    if (first <= middle) {
      ranges.unshift({ start: middle, end });
      end = middle;
    } else {
      ranges.unshift({ start, end: middle });
      [start, whole] = [middle, false];
    }
  }
  // The verifier has the root of the first tree; where that is not this subtree, it needs its hash.
  return whole ? ranges : [{ start, end }, ...ranges];
};

/** Whether a consistency proof leads to both roots (RFC 9162, section 2.1.4.2). */
export const isConsistent = (first: Sized, second: Sized, proof: readonly Buffer[]): boolean => {
  if (first.size < 0n || first.size > second.size || proof.some(({ length }) => length !== HASH_BYTES)) return false;
  if (first.size === 0n) return proof.length === 0 && first.root.equals(EMPTY_ROOT);
  if (first.size === second.size) return proof.length === 0 && first.root.equals(second.root);
  // A first tree that is perfect is itself the lowest hash.
  const [lowest, ...others] = (first.size & (first.size - 1n)) === 0n ? [first.root, ...proof] : proof;
  if (!lowest || proof.length === 0) return false;
  let [fn, sn] = [first.size - 1n, second.size - 1n];
  for (; fn & 1n; fn >>= 1n) sn >>= 1n;
  let [firstRoot, secondRoot] = [lowest, lowest];
  for (const next of others) {
    if (sn === 0n) return false;
    if (fn & 1n || fn === sn) {
      firstRoot = nodeHash(next, firstRoot);
      secondRoot = nodeHash(next, secondRoot);
      while (!(fn & 1n) && fn !== 0n) {
        fn >>= 1n;
        sn >>= 1n;
      }
    } else {
      secondRoot = nodeHash(secondRoot, next);
    }
    fn >>= 1n;
    sn >>= 1n;
  }
  return sn === 0n && firstRoot.equals(first.root) && secondRoot.equals(second.root);
};

/** The root of a perfect tree over 2^n hashes. */
export const perfectRoot = (hashes: readonly Buffer[]): Buffer => {
  let row = [...hashes];
  while (row.length > 1) row = Array.from({ length: row.length / 2 }, (_, i) => nodeHash(row[2 * i]!, row[2 * i + 1]!));
  return row[0]!;
};
