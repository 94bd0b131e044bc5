// The Merkle tree of RFC 6962, section 2.1, word for word and slow: what the real one is compared with.
import { createHash } from 'node:crypto';

const sha256 = (...parts: Uint8Array[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha256')).digest();

/** k: the largest power of two smaller than n. */
const split = (n: number): number => {
  let k = 1;
  while (2 * k < n) k *= 2;
  return k;
};

export interface NaiveTree {
  /** MTH(D[start:end]). */
  range(start: number, end: number): Buffer;
  /** PATH(index, D[0:size]). */
  path(index: number, size: number): Buffer[];
  /** PROOF(first, D[0:second]). */
  consistency(first: number, second: number): Buffer[];
}

/** The hash of a range is the same in every tree that has it, so each is computed once. */
export const naiveTree = (leafHashes: readonly Buffer[]): NaiveTree => {
  const known = new Map<number, Buffer>();
  const range = (start: number, end: number): Buffer => {
    if (start === end) return sha256();
    if (end - start === 1) return leafHashes[start]!;
    const key = start * 2 ** 20 + end;
    const found = known.get(key);
    if (found) return found;
    const k = split(end - start);
    const hash = sha256(Buffer.of(1), range(start, start + k), range(start + k, end));
    known.set(key, hash);
    return hash;
  };
  const path = (index: number, size: number): Buffer[] => {
    const walk = (start: number, end: number): Buffer[] => {
      if (end - start === 1) return [];
      const middle = start + split(end - start);
      return index < middle ? [...walk(start, middle), range(middle, end)] : [...walk(middle, end), range(start, middle)];
    };
    return walk(0, size);
  };
  const consistency = (first: number, second: number): Buffer[] => {
    // SUBPROOF(m, D[start:end], whole), m counted from the start.
    const walk = (m: number, start: number, end: number, whole: boolean): Buffer[] => {
      if (m === end - start) return whole ? [] : [range(start, end)];
      const k = split(end - start);
      return m <= k
        ? [...walk(m, start, start + k, whole), range(start + k, end)]
        : [...walk(m - k, start + k, end, false), range(start, start + k)];
    };
    return walk(first, 0, second, true);
  };
  return { range, path, consistency };
};
