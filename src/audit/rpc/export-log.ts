import type { ExportLogRequest, LogFile } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Audit } from '../audit.ts';
import { contentOf, PRUNED, type Content, type Grown } from '../content.ts';
import { selectBundles } from '../sql/bundles.ts';
import { selectTiles } from '../sql/log.ts';
import { TILE_WIDTH } from '../tiles.ts';
import { fullPieces, partialPieces, pathOf, type Piece } from '../tlog-tiles.ts';

const WIDTH = BigInt(TILE_WIDTH);
/** Tiles that are read at once: a statement of some milliseconds, so that other readers do not wait long. */
const CHUNK = 8n;

const fileOf = (piece: Piece, content: Content | null | undefined): LogFile =>
  content && content !== PRUNED
    ? { path: pathOf(piece), content, pruned: false }
    : { path: pathOf(piece), content: Buffer.alloc(0), pruned: true };

/** The files of the full bundles [first, end), those above them among them. */
const loadFull = async (audit: Audit, log: Grown, first: bigint, end: bigint): Promise<LogFile[]> => {
  const [bundles, tiles] = await Promise.all([
    selectBundles(audit.db.read, first * WIDTH, end * WIDTH),
    selectTiles(audit.db.read, 0, first, end),
  ]);
  const bundleOf = new Map(bundles.map((row) => [row.tile, row.entries === TILE_WIDTH ? row.bundle : null]));
  const hashesOf = new Map(tiles.map((row) => [row.tile, row.hashes]));
  const files: LogFile[] = [];
  for (let tile = first; tile < end; tile++) {
    files.push(fileOf({ level: 'entries', tile, width: TILE_WIDTH }, bundleOf.get(tile)));
    for (const piece of fullPieces(tile))
      files.push(fileOf(piece, (piece.level === 0 && hashesOf.get(tile)) || (await contentOf(audit.db, log, piece))));
  }
  return files;
};

/** The next files are read while the caller takes these. */
export async function* exportLog(audit: Audit, { fromSize }: ExportLogRequest): AsyncGenerator<LogFile> {
  const state = await audit.writer.current();
  const { size } = state.tree;
  if (fromSize < 0n || fromSize > size) throw invalid('from_size', `must be 0 to the size of the log, ${size}`);
  const end = size / WIDTH;
  const load = (first: bigint): Promise<LogFile[]> => {
    const loading = loadFull(audit, state, first, first + CHUNK < end ? first + CHUNK : end);
    // Its failure is found when its turn comes.
    loading.catch(() => undefined);
    return loading;
  };
  let next = load(fromSize / WIDTH);
  for (let first = fromSize / WIDTH; first < end; first += CHUNK) {
    const files = await next;
    next = load(first + CHUNK);
    yield* files;
  }
  for (const piece of partialPieces(size)) yield fileOf(piece, await contentOf(audit.db, state, piece));
  yield { path: 'checkpoint', content: Buffer.from(audit.publication.newest(state.checkpoint).note), pruned: false };
}
