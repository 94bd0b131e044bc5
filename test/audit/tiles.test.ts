import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { append, cover, EMPTY, fold, inclusionRanges, leafHash, perfectRoot, rootFromInclusion, rootOf } from '../../src/audit/merkle.ts';
import { extend, frontierOf, placeOf, splitTile, TILE_WIDTH, type Tails, type Tile } from '../../src/audit/tiles.ts';
import { naiveTree } from './naive.ts';

const MAX = 65_538;
const leaves = Array.from({ length: MAX }, (_, i) => leafHash(Buffer.from(String(i))));
const naive = naiveTree(leaves);
const SIZES = [1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537];

/** The log at each of the sizes, grown in one go: tails then, and all tiles that are full by the end. */
const grown = (() => {
  const full = new Map<string, Buffer[]>();
  const tails = new Map<number, Tails>();
  let current: Tails = [];
  let from = 0;
  for (const size of SIZES) {
    const step: { tails: Tails; full: Tile[] } = extend(current, leaves.slice(from, size));
    for (const tile of step.full) full.set(`${tile.level}/${tile.tile}`, splitTile(tile.hashes));
    current = step.tails;
    tails.set(size, current);
    from = size;
  }
  return { full, tails };
})();

const proofFromTiles = (index: number, size: number): Buffer[] => {
  const tails = grown.tails.get(size)!;
  const hashesOf = (level: number, tile: bigint): readonly Buffer[] => {
    const tail = tails[level];
    return tail && tile === tail.count / BigInt(TILE_WIDTH) ? tail.hashes : (grown.full.get(`${level}/${tile}`) ?? []);
  };
  return inclusionRanges(BigInt(index), BigInt(size)).map(({ start, end }) =>
    fold(
      cover(start, end).map((node) => {
        const { level, tile, offset, width } = placeOf(node);
        const hashes = hashesOf(level, tile).slice(offset, offset + width);
        expect(hashes.length, `tile ${level}/${tile} at size ${size}`).toBe(width);
        return perfectRoot(hashes);
      }),
    ),
  );
};

describe('tiles', () => {
  it.each(SIZES)('prove entries of a log of %i as the RFC does', (size) => {
    const around = [0, 1, 2, 254, 255, 256, 257, 510, 511, 512, 32_767, 32_768, 65_279, 65_280, 65_534, 65_535, 65_536];
    const some = Array.from({ length: 40 }, (_, i) => (i * 7919) % size);
    for (const index of new Set([...around, ...some, size - 1].filter((i) => i < size))) {
      const proof = proofFromTiles(index, size);
      expect(proof.map(String), `entry ${index}`).toEqual(naive.path(index, size).map(String));
      expect(rootFromInclusion(BigInt(index), BigInt(size), leaves[index]!, proof)).toEqual(naive.range(0, size));
    }
  });

  it.each(SIZES)('know the frontier of a log of %i, so that a changed tile is found when the log is read again', (size) => {
    let tree = EMPTY;
    for (const leaf of leaves.slice(0, size)) tree = append(tree, leaf);
    expect(rootOf(tree)).toEqual(naive.range(0, size));
    expect(frontierOf(grown.tails.get(size)!)).toEqual([...tree.frontier]);
  });

  it('are full exactly once, 256 hashes each: 256 of leaves and one of their roots at 65,536 entries', () => {
    const { full } = extend([], leaves.slice(0, 65_536));
    expect(full.filter((tile) => tile.level === 0).map((tile) => tile.tile)).toEqual(Array.from({ length: 256 }, (_, i) => BigInt(i)));
    const [above, ...others] = full.filter((tile) => tile.level > 0);
    expect(others).toEqual([]);
    expect(above).toMatchObject({ level: 1, tile: 0n });
    expect(full.every((tile) => tile.hashes.length === 8_192)).toBe(true);
    expect(perfectRoot(splitTile(above!.hashes))).toEqual(naive.range(0, 65_536));
  });

  it('come out the same whether entries arrive one by one or all at once', () => {
    let byOne: { tails: Tails; full: Tile[] } = { tails: [], full: [] };
    for (const leaf of leaves.slice(0, 600)) {
      const step = extend(byOne.tails, [leaf]);
      byOne = { tails: step.tails, full: [...byOne.full, ...step.full] };
    }
    expect(byOne).toEqual(extend([], leaves.slice(0, 600)));
  });

  it('leave the tails of before as they were: a batch that does not commit must change nothing', () => {
    const before = extend([], leaves.slice(0, 255)).tails;
    extend(before, leaves.slice(255, 258));
    expect(before).toEqual(extend([], leaves.slice(0, 255)).tails);
  });

  it('hold the very bytes of the log that Tessera publishes for tests', () => {
    const log = JSON.parse(readFileSync(new URL('../vectors/audit/tessera-log.json', import.meta.url), 'utf8')) as {
      entries: string[];
      tile: string;
    };
    const { tails } = extend(
      [],
      log.entries.map((entry) => leafHash(Buffer.from(entry))),
    );
    expect(Buffer.concat([...tails[0]!.hashes]).toString('hex')).toBe(log.tile);
  });
});
