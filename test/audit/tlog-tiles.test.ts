import { hash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checkpointText } from '../../src/audit/checkpoint.ts';
import { append, EMPTY, leafHash, rootOf } from '../../src/audit/merkle.ts';
import { openSigner } from '../../src/audit/note.ts';
import { extend } from '../../src/audit/tiles.ts';
import { endOf, fullPieces, packBundle, parsePath, partialPieces, pathOf, splitBundle } from '../../src/audit/tlog-tiles.ts';

const tessera = JSON.parse(readFileSync(new URL('../vectors/audit/tessera-log.json', import.meta.url), 'utf8')) as {
  publishedTestSeed: string;
  entries: string[];
  files: Record<string, string>;
};

describe('the log that Tessera publishes for tests', () => {
  it('comes out file by file and byte for byte: checkpoints, tiles and bundles of the sizes 0 to 15', () => {
    const signer = openSigner('example.com/log/testdata', Buffer.from(tessera.publishedTestSeed, 'hex'));
    const entries = tessera.entries.map((entry) => Buffer.from(entry));
    const files = new Map<string, Buffer>();
    for (let size = 0; size <= entries.length; size++) {
      const leaves = entries.slice(0, size);
      const tree = leaves.map(leafHash).reduce(append, EMPTY);
      const { tails } = extend([], leaves.map(leafHash));
      const note = Buffer.from(signer.sign(checkpointText({ origin: signer.verifier.name, size: tree.size, root: rootOf(tree) })));
      files.set(`checkpoint.${size}`, note).set('checkpoint', note);
      for (const piece of partialPieces(tree.size)) {
        const content = piece.level === 'entries' ? packBundle(leaves) : Buffer.concat(tails[piece.level]?.hashes ?? []);
        files.set(pathOf(piece), content);
      }
    }
    expect(Object.fromEntries([...files].map(([path, content]) => [path, hash('sha256', content)]))).toEqual(tessera.files);
  });
});

describe('the path of a tile', () => {
  it.each([
    [0n, 'tile/0/000'],
    [255n, 'tile/0/255'],
    [256n, 'tile/0/256'],
    [999n, 'tile/0/999'],
    [1_000n, 'tile/0/x001/000'],
    [65_535n, 'tile/0/x065/535'],
    [65_536n, 'tile/0/x065/536'],
    [70_000n, 'tile/0/x070/000'],
    [1_234_067n, 'tile/0/x001/x234/067'],
    [999_999_999_999_999_999n, 'tile/0/x999/x999/x999/x999/x999/999'],
  ])('%i is %s, and comes back', (tile, path) => {
    expect(pathOf({ level: 0, tile, width: 256 })).toBe(path);
    expect(parsePath(path)).toEqual({ level: 0, tile, width: 256 });
    expect(parsePath(`${path}.p/7`)).toEqual({ level: 0, tile, width: 7 });
    expect(parsePath(path.replace('/0/', '/entries/'))).toEqual({ level: 'entries', tile, width: 256 });
  });

  it.each([
    '',
    'checkpoint',
    'tile/0',
    'tile/0/0',
    'tile/0/00',
    'tile/0/0000',
    'tile/0/x000/000',
    'tile/0/x001/x000',
    'tile/0/001/000',
    'tile/00/000',
    'tile/64/000',
    'tile/-1/000',
    'tile/entry/000',
    'tile/0/000.p/0',
    'tile/0/000.p/01',
    'tile/0/000.p/256',
    'tile/0/000.p/257',
    'tile/0/000.p/',
    'tile/0/000/',
    '/tile/0/000',
    'tile//0/000',
    'tile/0/000?x=1',
    'tile/0/../0/000',
    'tile/0/000\n',
    'tile/0/٠٠٠',
  ])('is no path of a log: "%s"', (path) => {
    expect(parsePath(path)).toBeUndefined();
  });
});

describe('a log as files', () => {
  const partial = (size: bigint) => partialPieces(size).map(pathOf);

  it('of 70,000 entries has the partial tiles of the specification', () => {
    expect(partial(70_000n)).toEqual(['tile/entries/273.p/112', 'tile/0/273.p/112', 'tile/1/001.p/17', 'tile/2/000.p/1']);
  });

  it.each([
    [0n, []],
    [1n, ['tile/entries/000.p/1', 'tile/0/000.p/1']],
    [255n, ['tile/entries/000.p/255', 'tile/0/000.p/255']],
    [256n, ['tile/1/000.p/1']],
    [65_536n, ['tile/2/000.p/1']],
    [65_792n, ['tile/1/001.p/1', 'tile/2/000.p/1']],
  ])('of %i entries has no empty tile', (size, paths) => {
    expect(partial(size)).toEqual(paths);
  });

  it('has of each full tile what is above it before it', () => {
    expect(fullPieces(0n).map(pathOf)).toEqual(['tile/0/000']);
    expect(fullPieces(255n).map(pathOf)).toEqual(['tile/1/000', 'tile/0/255']);
    expect(fullPieces(65_535n).map(pathOf)).toEqual(['tile/2/000', 'tile/1/255', 'tile/0/x065/535']);
  });

  it('has in all every hash of every level once, at each of its sizes', () => {
    for (const size of [1n, 255n, 256n, 257n, 65_535n, 65_536n, 65_537n, 131_072n]) {
      const pieces = [...Array.from({ length: Number(size / 256n) }, (_, i) => fullPieces(BigInt(i))).flat(), ...partialPieces(size)];
      const paths = new Set(pieces.map(pathOf));
      expect(paths.size).toBe(pieces.length);
      for (const piece of pieces) expect(endOf(piece) <= size, pathOf(piece)).toBe(true);
      for (let [level, count] = [0, size]; count > 0n; level++, count /= 256n) {
        const width = pieces.filter((piece) => piece.level === level).reduce((sum, piece) => sum + piece.width, 0);
        expect(BigInt(width), `level ${level} of ${size}`).toBe(count);
      }
    }
  });
});

describe('a bundle', () => {
  it('has every entry with its length before it, the shortest and the longest too', () => {
    const entries = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(65_535, 7)];
    const bundle = packBundle(entries);
    expect(bundle.subarray(0, 5)).toEqual(Buffer.from([0, 0, 0, 1, 0x61]));
    expect(splitBundle(bundle)).toEqual(entries);
    expect(splitBundle(Buffer.alloc(0))).toEqual([]);
  });

  it('holds no entry of 65,536 bytes', () => {
    expect(() => packBundle([Buffer.alloc(65_536)])).toThrow('does not fit');
  });

  it('that was cut is none', () => {
    const bundle = packBundle([Buffer.from('one'), Buffer.from('two')]);
    for (const length of [1, 2, 3, 4, 6, 9]) expect(splitBundle(bundle.subarray(0, length)), `${length} bytes`).toBeUndefined();
    expect(splitBundle(bundle.subarray(0, 5))).toEqual([Buffer.from('one')]);
  });
});
