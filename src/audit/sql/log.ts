// The writer's tables: log_state, entries, private_fields, event_ids, tiles, checkpoints. A batch is one statement, so one round trip and one commit.
import type { Queryable } from '../../kernel/db.ts';
import type { Opening } from '../private.ts';
import type { Tile } from '../tiles.ts';
import { packBigInts, packBytes, packSmallInts, packTexts, packUuids } from './packed.ts';

export interface StateRow {
  writer_epoch: bigint;
  size: bigint;
  frontier: Buffer;
  record_time: Date;
  /** Whose lease it is; null if it is nobody's, or has run out. */
  writer: string | null;
}

export const selectState = async (db: Queryable): Promise<StateRow> => {
  const text = `select writer_epoch, size, frontier, record_time, case when lease_expires > clock_timestamp() then lease_owner end as writer
    from log_state`;
  return (await db.query<StateRow>({ name: 'audit.selectState', text }))[0]!;
};

/** How long a writer may be silent before another takes over. `clock_timestamp` is of the moment, also behind a lock. */
const LEASE = `lease_expires = clock_timestamp() + interval '3 s'`;

/**
 * Fences off the writer before, if its lease is over and the log is still as it was verified; the new epoch if so. A batch under way holds
 * the row, so that this waits for it and then finds another size.
 */
export const takeOver = async (db: Queryable, owner: string, verified: { epoch: bigint; size: bigint }): Promise<bigint | undefined> => {
  const text = `update log_state set writer_epoch = writer_epoch + 1, lease_owner = $1, ${LEASE}
    where writer_epoch = $2 and size = $3 and (lease_owner = $1 or lease_expires <= clock_timestamp()) returning writer_epoch`;
  const values = [owner, verified.epoch, verified.size];
  return (await db.query<{ writer_epoch: bigint }>({ name: 'audit.takeOver', text, values }))[0]?.writer_epoch;
};

/** A commit of its own; the database's clock, or undefined if another writer has taken over. */
export const renewLease = async (db: Queryable, epoch: bigint): Promise<Date | undefined> => {
  const text = `update log_state set ${LEASE} where writer_epoch = $1 returning clock_timestamp() as now`;
  return (await db.query<{ now: Date }>({ name: 'audit.renewLease', text, values: [epoch] }))[0]?.now;
};

export const releaseLease = async (db: Queryable, owner: string): Promise<void> => {
  const text = `update log_state set lease_expires = '-infinity' where lease_owner = $1`;
  await db.query({ name: 'audit.releaseLease', text, values: [owner] });
};

export interface NewEntry {
  source: string;
  eventId: string;
  digest: Buffer;
  leaf: Buffer;
  leafHash: Buffer;
  action: string;
  principal: string;
  onBehalfOf: string;
  resource: string;
  correlationId: string;
  /** Empty if there is none. */
  instanceUid: string;
  outcome: number;
  severity: number;
  private: readonly Opening[];
}

export interface Batch {
  epoch: bigint;
  /** As the writer left them. */
  before: { size: bigint; frontier: Buffer };
  frontier: Buffer;
  recordTime: Date;
  entries: readonly NewEntry[];
  tiles: readonly Tile[];
  checkpoint: { size: bigint; root: Buffer; note: string };
}

// Everything hangs on the state row being as this writer left it: otherwise nothing at all is written.
const APPEND = `
with state as (
  update log_state set size = $3, frontier = $4, record_time = $5, ${LEASE} where writer_epoch = $1 and size = $2 and frontier = $26 returning size
), known as (
  insert into event_ids (source, event_id, index, event_digest, record_time)
  select e.source, e.id, $2 + e.n - 1, e.digest, $5
  from state, unnest($6::text[], $7::uuid[], $8::bytea[]) with ordinality as e (source, id, digest, n)
), added as (
  insert into entries (index, source, record_time, leaf, leaf_hash, action, principal, on_behalf_of, resource, correlation_id, instance_uid,
    outcome, severity)
  select $2 + e.n - 1, e.source, $5, e.leaf, e.hash, e.action, e.principal, e.behalf, e.resource, e.correlation,
    nullif(e.instance, '')::uuid, e.outcome, e.severity
  from state, unnest($6::text[], $9::bytea[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $19::text[],
    $20::smallint[], $21::smallint[])
    with ordinality as e (source, leaf, hash, action, principal, behalf, resource, correlation, instance, outcome, severity, n)
), hidden as (
  insert into private_fields (index, field, value, key)
  select $2 + p.n, p.field, p.value, p.key from state, unnest($22::bigint[], $23::text[], $24::text[], $25::bytea[]) as p (n, field, value, key)
), tiled as (
  insert into tiles (level, tile, hashes)
  select t.level, t.tile, decode(t.hashes, 'base64') from state, json_to_recordset($16) as t (level int, tile bigint, hashes text)
), signed as (
  insert into checkpoints (size, root, note) select $3, $17, $18 from state
)
select size from state`;

/** False if another writer has taken over. Throws 23505 if an event id is there already. */
export const appendBatch = async (db: Queryable, batch: Batch): Promise<boolean> => {
  const { entries } = batch;
  const hidden = entries.flatMap((entry, n) => entry.private.map((opening) => ({ n, ...opening })));
  const tiles = batch.tiles.map((t) => ({ level: t.level, tile: String(t.tile), hashes: t.hashes.toString('base64') }));
  const { size, root, note } = batch.checkpoint;
  const values = [
    batch.epoch,
    batch.before.size,
    size,
    batch.frontier,
    batch.recordTime,
    packTexts(entries, (e) => e.source),
    packUuids(entries, (e) => e.eventId),
    packBytes(entries, (e) => e.digest),
    packBytes(entries, (e) => e.leaf),
    packBytes(entries, (e) => e.leafHash),
    packTexts(entries, (e) => e.action),
    packTexts(entries, (e) => e.principal),
    packTexts(entries, (e) => e.onBehalfOf),
    packTexts(entries, (e) => e.resource),
    packTexts(entries, (e) => e.correlationId),
    JSON.stringify(tiles),
    root,
    note,
    packTexts(entries, (e) => e.instanceUid),
    packSmallInts(entries, (e) => e.outcome),
    packSmallInts(entries, (e) => e.severity),
    packBigInts(hidden, (each) => each.n),
    packTexts(hidden, (each) => each.field),
    packTexts(hidden, (each) => each.value),
    packBytes(hidden, (each) => each.key),
    batch.before.frontier,
  ];
  return (await db.query({ name: 'audit.appendBatch', text: APPEND, values })).length === 1;
};

export interface Known {
  source: string;
  event_id: string;
  event_digest: Buffer;
  index: bigint;
}

export const selectKnown = (db: Queryable, events: readonly { source: string; eventId: string }[]): Promise<Known[]> => {
  const text = `select e.source, e.event_id, e.event_digest, e.index from event_ids e
    join unnest($1::text[], $2::uuid[]) as asked (source, event_id) using (source, event_id)`;
  return db.query<Known>({ name: 'audit.selectKnown', text, values: [events.map((e) => e.source), events.map((e) => e.eventId)] });
};

export const selectCheckpoint = async (db: Queryable, size: bigint): Promise<{ root: Buffer; note: string } | undefined> => {
  const text = 'select root, note from checkpoints where size = $1';
  return (await db.query<{ root: Buffer; note: string }>({ name: 'audit.selectCheckpoint', text, values: [size] }))[0];
};

export const selectTiles = (db: Queryable, level: number, first: bigint, end: bigint): Promise<{ tile: bigint; hashes: Buffer }[]> => {
  const text = 'select tile, hashes from tiles where level = $1 and tile >= $2 and tile < $3 order by tile';
  return db.query<{ tile: bigint; hashes: Buffer }>({ name: 'audit.selectTiles', text, values: [level, first, end] });
};

export const selectLeaves = (db: Queryable, from: bigint, end: bigint): Promise<{ leaf: Buffer; leaf_hash: Buffer }[]> => {
  const text = 'select leaf, leaf_hash from entries where index >= $1 and index < $2 order by index';
  return db.query<{ leaf: Buffer; leaf_hash: Buffer }>({ name: 'audit.selectLeaves', text, values: [from, end] });
};

export const selectLeafHashes = async (db: Queryable, from: bigint, end: bigint): Promise<Buffer[]> => {
  const text = 'select leaf_hash from entries where index >= $1 and index < $2 order by index';
  return (await db.query<{ leaf_hash: Buffer }>({ name: 'audit.selectLeafHashes', text, values: [from, end] })).map((row) => row.leaf_hash);
};

/** The settings without which a commit is no promise. */
export const selectDurability = async (db: Queryable): Promise<Record<string, string>> => {
  const text = `select current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit`;
  return (await db.query<Record<string, string>>({ name: 'audit.selectDurability', text }))[0] ?? {};
};
