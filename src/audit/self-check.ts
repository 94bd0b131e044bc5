// The log's check of itself, all the time and slowly: every entry is hashed again, the tiles are built anew from that, level by level, up to
// the root that the newest checkpoint had when the pass began. What differs raises a metric, an error line and an entry, once, and
// the check goes on with the hashes of the tree. Where the check is, is only in memory.
import { status } from '@grpc/grpc-js';
import type { Auditor } from '../kernel/audit.ts';
import type { Db } from '../kernel/db.ts';
import type { Log } from '../kernel/log.ts';
import { openLoop, retrying } from '../kernel/loop.ts';
import { metrics } from '../kernel/metrics.ts';
import { checkpointText } from './checkpoint.ts';
import { HASH_BYTES, rootOf } from './merkle.ts';
import { openNote, type Verifier } from './note.ts';
import type { OwnEvent } from './own-actions.ts';
import type { LogState } from './recovery.ts';
import { hashesOfTree, rehash, type Difference } from './rehash.ts';
import { selectCheckpoint, selectTiles } from './sql/log.ts';
import { selectPrunedBelow } from './sql/ranges.ts';
import { extend, frontierOf, TILE_WIDTH, type Tails, type Tile } from './tiles.ts';
import type { Writer } from './writer.ts';

/** Some milliseconds, in which nothing else is done. */
const STEP = 256n;
const WIDTH = BigInt(TILE_WIDTH);
/** Between two passes. */
const PAUSE_MS = 10 * 60_000;
const RETRY_MS = 10_000;
const APPEND_MS = 10_000;

export interface SelfCheckStatus {
  readonly checkedSize: bigint;
  readonly passSize: bigint;
  readonly passEndTime: Date | undefined;
  readonly mismatch: (Difference & { readonly time: Date }) | undefined;
}

export interface SelfCheck extends AsyncDisposable {
  status(): SelfCheckStatus;
}

export interface SelfCheckOptions {
  db: Db;
  writer: Writer;
  verifier: Verifier;
  auditor: Auditor;
  ownEvent: OwnEvent;
  log: Log;
  entriesPerSecond: number;
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);

/** From the first entry to the size that the log has at the beginning. */
interface Pass {
  readonly target: LogState;
  tails: Tails;
}

const checkedSize = ({ tails }: Pass): bigint => tails[0]?.count ?? 0n;

/** A tile above level 0 that was built anew. */
const compareTile = async (db: Db, { level, tile, hashes }: Tile): Promise<Difference | undefined> => {
  const [stored] = await selectTiles(db.read, level, tile, tile + 1n);
  if (stored?.hashes.equals(hashes)) return undefined;
  const differing = Array.from({ length: TILE_WIDTH }, (_, i) => i * HASH_BYTES).findIndex(
    (at) => !stored?.hashes.subarray(at, at + HASH_BYTES).equals(hashes.subarray(at, at + HASH_BYTES)),
  );
  const index = (tile * WIDTH + BigInt(differing)) * WIDTH ** BigInt(level);
  return { index, what: `tile ${tile} of level ${level} is not made of the tiles below it` };
};

export const openSelfCheck = (options: SelfCheckOptions): SelfCheck => {
  const { db, writer, verifier, auditor, ownEvent, log, entriesPerSecond } = options;
  let pass: Pass | undefined;
  let passEndTime: Date | undefined;
  let mismatch: SelfCheckStatus['mismatch'];
  const reported = new Set<bigint>();

  const report = async (difference: Difference | undefined): Promise<void> => {
    if (!difference || reported.has(difference.index)) return;
    const { index, what } = difference;
    mismatch ??= { ...difference, time: new Date() };
    metrics.auditMismatches.inc();
    log.error({ index: String(index), reason: what }, 'the audit log is not what was written; it was changed behind its back');
    const facts = {
      outcome: 'FAILURE',
      code: status.DATA_LOSS,
      reason: 'DATA_CORRUPTED',
      attributes: { index: String(index), what },
    } as const;
    await auditor.append([ownEvent('audit.log.mismatch', `log/${index}`, facts)], Date.now() + APPEND_MS);
    reported.add(index);
  };

  /** Some full tiles of entries; false if the tree itself has a hole. */
  const checkTiles = async (current: Pass, end: bigint): Promise<boolean> => {
    const from = checkedSize(current);
    const hashes = await hashesOfTree(db, from, end);
    if (!hashes) {
      await report({ index: from, what: `a tile of the entries from ${from} to ${end} is not there` });
      return false;
    }
    const difference = await rehash(db, from, from < (await selectPrunedBelow(db.read)) ? [] : hashes);
    // What was pruned meanwhile is not there, and need not be.
    if (difference && difference.index >= (await selectPrunedBelow(db.read))) await report(difference);
    const { tails, full } = extend(current.tails, hashes);
    for (const tile of full) if (tile.level > 0) await report(await compareTile(db, tile));
    current.tails = tails;
    return true;
  };

  /** The entries that fill no tile yet, and the root. */
  const checkEnd = async ({ target, tails }: Pass): Promise<void> => {
    const { tree, checkpoint } = target;
    const last = target.tails[0]?.hashes ?? [];
    await report(await rehash(db, tree.size - BigInt(last.length), last));
    const frontier = frontierOf(extend(tails, last).tails);
    const root = rootOf({ size: tree.size, frontier });
    const stored = await selectCheckpoint(db.read, tree.size);
    const text = checkpointText({ origin: verifier.name, size: tree.size, root });
    if (!root.equals(checkpoint.root) || !stored?.root.equals(root) || openNote(stored.note, verifier) !== text)
      await report({ index: tree.size - 1n, what: `the entries do not lead to the signed root of size ${tree.size}` });
  };

  /** Answers in how many milliseconds to go on. */
  const step = async (): Promise<number> => {
    const current = (pass ??= { target: await writer.current(), tails: [] });
    const from = checkedSize(current);
    const { size } = current.target.tree;
    const full = size - (size % WIDTH);
    let whole = true;
    if (from < full) {
      const prunedBelow = await selectPrunedBelow(db.read);
      const end = least(from + STEP, from < prunedBelow ? least(prunedBelow, full) : full);
      whole = await checkTiles(current, end);
      metrics.auditChecked.inc(Number(end - from));
      if (whole) return (Number(end - from) * 1_000) / entriesPerSecond;
    } else if (size > 0n) await checkEnd(current);
    pass = undefined;
    passEndTime = new Date();
    return PAUSE_MS;
  };

  const loop = openLoop(retrying(step, { log, message: 'the audit log could not check itself; trying again', retryMs: RETRY_MS }));
  loop.kick();
  return {
    status: () => ({
      checkedSize: pass ? checkedSize(pass) : 0n,
      passSize: pass?.target.tree.size ?? 0n,
      passEndTime,
      mismatch,
    }),
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
};
