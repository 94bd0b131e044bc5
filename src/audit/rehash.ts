// Entries hashed again from the bytes that are stored, and compared with the tree, with the columns that they are found by, and with what
// opens their private fields.
import type { Db } from '../kernel/db.ts';
import { eventOfLeaf, recordOfLeaf } from './event.ts';
import { leafHash } from './merkle.ts';
import { commitmentText } from './private.ts';
import { selectFound, type FoundRow } from './sql/entries.ts';
import { selectTiles } from './sql/log.ts';
import { selectOpenings } from './sql/private.ts';
import { splitTile, TILE_WIDTH } from './tiles.ts';

/** What is not as it was written. */
export interface Difference {
  /** Of the first entry where it shows. */
  readonly index: bigint;
  readonly what: string;
}

const WIDTH = BigInt(TILE_WIDTH);

/** The leaf hashes of the tree, from full tiles; undefined if some are not there. Both ends are multiples of 256. */
export const hashesOfTree = async (db: Db, from: bigint, end: bigint): Promise<Buffer[] | undefined> => {
  const hashes = (await selectTiles(db.read, 0, from / WIDTH, end / WIDTH)).flatMap((row) => splitTile(row.hashes));
  return BigInt(hashes.length) === end - from ? hashes : undefined;
};

const isFoundAsItIs = (row: FoundRow): boolean => {
  const [event, { source, recordTime }] = [eventOfLeaf(row.leaf), recordOfLeaf(row.leaf)];
  return (
    row.source === source &&
    row.record_time.getTime() === recordTime.getTime() &&
    row.action === event.action &&
    row.principal === event.principal &&
    row.on_behalf_of === event.onBehalfOf &&
    row.resource === event.resource &&
    row.correlation_id === event.correlationId &&
    (row.instance_uid ?? '') === event.instanceUid &&
    row.outcome === event.outcome &&
    row.severity === event.severity
  );
};

/** The first difference among the entries that have these hashes, from an index on. */
export const rehash = async (db: Db, from: bigint, hashes: readonly Buffer[]): Promise<Difference | undefined> => {
  const end = from + BigInt(hashes.length);
  const [rows, openings] = await Promise.all([selectFound(db.read, from, end), selectOpenings(db.read, from, end)]);
  const differ = (index: bigint, what: string): Difference => ({ index, what });
  for (const [i, hash] of hashes.entries()) {
    const [index, row] = [from + BigInt(i), rows[i]];
    if (row?.index !== index) return differ(index, 'the entry is not there');
    if (!leafHash(row.leaf).equals(hash)) return differ(index, 'the entry is not the one whose hash is in the tree');
    if (!row.leaf_hash.equals(hash)) return differ(index, 'the hash beside the entry is not the one in the tree');
    if (!isFoundAsItIs(row)) return differ(index, 'the columns that the entry is found by are not what the entry says');
  }
  const bad = openings.find((opening) => !rows[Number(opening.index - from)]!.leaf.includes(commitmentText(opening)));
  return bad && differ(bad.index, 'a private field is not the one that the entry commits to');
};
