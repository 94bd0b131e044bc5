// Reads the log's state from the database, and believes none of it unchecked: the root is computed from the frontier, compared
// with the newest checkpoint, whose signature must be ours, and the newest leaves are hashed again and must lead to it too;
// and it must continue every checkpoint that is kept outside. A process that has read it follows it from there. What does not
// fit is refused: a log that may have been changed must be neither continued nor proved.
import type { Db } from '../kernel/db.ts';
import { checkpointText } from './checkpoint.ts';
import { append, HASH_BYTES, leafHash, perfectRoot, rootOf, type Tree } from './merkle.ts';
import { openNote, type Signer } from './note.ts';
import type { Outside } from './outside.ts';
import { rootAt } from './proof.ts';
import { selectCheckpoint, selectDurability, selectLeafHashes, selectLeaves, selectState, selectTiles, type StateRow } from './sql/log.ts';
import { extend, frontierOf, splitTile, TILE_WIDTH, type Tails } from './tiles.ts';

export interface LogState {
  epoch: bigint;
  tree: Tree;
  tails: Tails;
  recordTime: Date;
  /** The newest one. */
  checkpoint: { size: bigint; root: Buffer; note: string };
}

const WIDTH = BigInt(TILE_WIDTH);

const corrupt = (what: string): Error =>
  new Error(
    `the audit log does not fit together: ${what}; do not repair it by hand, compare it with a backup and the checkpoints kept elsewhere`,
  );

const loadTails = async (db: Db, size: bigint): Promise<Tails> => {
  const leaves = await selectLeaves(db.read, size - (size % WIDTH), size);
  if (BigInt(leaves.length) !== size % WIDTH) throw corrupt('entries are missing at its end');
  for (const { leaf, leaf_hash } of leaves) if (!leafHash(leaf).equals(leaf_hash)) throw corrupt('an entry near its end was changed');
  const tails: { count: bigint; hashes: Buffer[] }[] = [{ count: size, hashes: leaves.map((row) => row.leaf_hash) }];
  // Level by level: the roots of the full tiles below, from the last boundary on.
  for (let count = size / WIDTH, level = 1; count > 0n; count /= WIDTH, level++) {
    const tiles = await selectTiles(db.read, level - 1, count - (count % WIDTH), count);
    if (BigInt(tiles.length) !== count % WIDTH) throw corrupt(`tiles of level ${level - 1} are missing`);
    tails.push({ count, hashes: tiles.map((row) => perfectRoot(splitTile(row.hashes))) });
  }
  return tails;
};

/** The newest checkpoint, if our key has signed it over this tree. */
const signedFor = async (db: Db, { verifier, verifiers }: Signer, tree: Tree): Promise<LogState['checkpoint']> => {
  const root = rootOf(tree);
  const newest = await selectCheckpoint(db.read, tree.size);
  if (!newest) throw corrupt(`there is no checkpoint of its size ${tree.size}`);
  if (openNote(newest.note, verifiers) !== checkpointText({ origin: verifier.name, size: tree.size, root }))
    throw corrupt(`its newest checkpoint is not signed with this key (${verifier.text}) over its root`);
  return { size: tree.size, root, note: newest.note };
};

const readState = async (db: Db, signer: Signer): Promise<LogState> => {
  const row = await selectState(db.read);
  const tree: Tree = { size: row.size, frontier: splitTile(row.frontier) };
  const bits = row.size.toString(2).replaceAll('0', '').length;
  if (row.frontier.length % HASH_BYTES !== 0 || tree.frontier.length !== bits) throw corrupt('its state has the wrong shape');
  const common = { epoch: row.writer_epoch, tree, recordTime: row.record_time };
  if (tree.size === 0n) {
    const root = rootOf(tree);
    const note = signer.sign(checkpointText({ origin: signer.verifier.name, size: 0n, root }));
    return { ...common, tails: [], checkpoint: { size: 0n, root, note } };
  }
  const checkpoint = await signedFor(db, signer, tree);
  const tails = await loadTails(db, tree.size);
  if (!Buffer.concat(frontierOf(tails)).equals(row.frontier)) throw corrupt('its newest entries and tiles do not lead to its root');
  return { ...common, tails, checkpoint };
};

export const loadState = async (db: Db, signer: Signer, outside: Outside): Promise<LogState> => {
  for (const [setting, value] of Object.entries(await selectDurability(db.read))) {
    if (value === 'off') throw new Error(`PostgreSQL runs with ${setting} = off: a commit would be no promise; turn it on`);
  }
  const continues = outside.look();
  const state = await readState(db, signer);
  await continues(state.tree.size, (size) => rootAt(db, state, size));
  return state;
};

/** Beyond so many new entries, reading the log anew is quicker than following it. */
const MAX_STEP = 16_384n;

/** What the log has become since it was read: the new leaf hashes on top of the tree must lead to the root of the signed checkpoint. */
export const followState = async (db: Db, signer: Signer, outside: Outside, before: LogState): Promise<LogState> => {
  const row: StateRow = await selectState(db.read);
  const since = row.size - before.tree.size;
  if (since < 0n) throw corrupt(`it has ${row.size} entries, and had ${before.tree.size}`);
  if (since > MAX_STEP) return loadState(db, signer, outside);
  if (since === 0n) {
    if (row.frontier.equals(Buffer.concat(before.tree.frontier))) return before;
    throw corrupt('its state has another root than the same entries had');
  }
  const hashes = await selectLeafHashes(db.read, before.tree.size, row.size);
  if (BigInt(hashes.length) !== since) throw corrupt('entries are missing at its end');
  const tree = hashes.reduce<Tree>(append, before.tree);
  const checkpoint = await signedFor(db, signer, tree);
  return { epoch: row.writer_epoch, tree, tails: extend(before.tails, hashes).tails, recordTime: row.record_time, checkpoint };
};
