// The writer's tables: log_state, entries, tiles, checkpoints. A batch is one statement, so one round trip and one commit.
import type { Queryable } from '../../kernel/db.ts';
import type { Tile } from '../tiles.ts';

export interface StateRow {
  writer_epoch: bigint;
  size: bigint;
  frontier: Buffer;
  record_time: Date;
}

export const selectState = async (db: Queryable): Promise<StateRow> => {
  const text = 'select writer_epoch, size, frontier, record_time from log_state';
  return (await db.query<StateRow>({ name: 'audit.selectState', text }))[0]!;
};

/** A new writer fences off the one before. */
export const takeOver = async (db: Queryable): Promise<StateRow> => {
  const text = 'update log_state set writer_epoch = writer_epoch + 1 returning writer_epoch, size, frontier, record_time';
  return (await db.query<StateRow>({ name: 'audit.takeOver', text }))[0]!;
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
}

export interface Batch {
  epoch: bigint;
  size: bigint;
  frontier: Buffer;
  recordTime: Date;
  entries: readonly NewEntry[];
  tiles: readonly Tile[];
  checkpoint: { size: bigint; root: Buffer; note: string };
}

// Everything hangs on the state row being as this writer left it: otherwise nothing at all is written.
const APPEND = `
with state as (
  update log_state set size = $3, frontier = $4, record_time = $5 where writer_epoch = $1 and size = $2 returning size
), added as (
  insert into entries (index, source, event_id, event_digest, record_time, leaf, leaf_hash, action, principal, on_behalf_of, resource,
    correlation_id, instance_uid, outcome, severity)
  select $2 + e.n - 1, e.source, e.id, e.digest, $5, e.leaf, e.hash, e.action, e.principal, e.behalf, e.resource, e.correlation,
    nullif(e.instance, '')::uuid, e.outcome, e.severity
  from state, unnest($6::text[], $7::uuid[], $8::bytea[], $9::bytea[], $10::bytea[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[],
    $19::text[], $20::smallint[], $21::smallint[])
    with ordinality as e (source, id, digest, leaf, hash, action, principal, behalf, resource, correlation, instance, outcome, severity, n)
), tiled as (
  insert into tiles (level, tile, hashes)
  select t.level, t.tile, decode(t.hashes, 'base64') from state, json_to_recordset($16) as t (level int, tile bigint, hashes text)
), signed as (
  insert into checkpoints (size, root, note) select $3, $17, $18 from state
)
select size from state`;

/** False if another writer has taken over. Throws 23505 if an event id is there already. */
export const appendBatch = async (db: Queryable, batch: Batch): Promise<boolean> => {
  const column = <T>(of: (entry: NewEntry) => T): T[] => batch.entries.map(of);
  const tiles = batch.tiles.map((t) => ({ level: t.level, tile: String(t.tile), hashes: t.hashes.toString('base64') }));
  const { size, root, note } = batch.checkpoint;
  const values = [
    batch.epoch,
    batch.size,
    size,
    batch.frontier,
    batch.recordTime,
    column((e) => e.source),
    column((e) => e.eventId),
    column((e) => e.digest),
    column((e) => e.leaf),
    column((e) => e.leafHash),
    column((e) => e.action),
    column((e) => e.principal),
    column((e) => e.onBehalfOf),
    column((e) => e.resource),
    column((e) => e.correlationId),
    JSON.stringify(tiles),
    root,
    note,
    column((e) => e.instanceUid),
    column((e) => e.outcome),
    column((e) => e.severity),
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
  const text = `select e.source, e.event_id, e.event_digest, e.index from entries e
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

/** The settings without which a commit is no promise. */
export const selectDurability = async (db: Queryable): Promise<Record<string, string>> => {
  const text = `select current_setting('fsync') as fsync, current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit`;
  return (await db.query<Record<string, string>>({ name: 'audit.selectDurability', text }))[0] ?? {};
};
