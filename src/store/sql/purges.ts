// Table `purges`, as the store sees it: it schedules and shows; only the worker purges.
import { v5 as uuidv5 } from 'uuid';
import type { Queryable } from '../../kernel/db.ts';
import { inLine, valuesOf, type Place } from './place.ts';

export type PurgeState = 'SCHEDULED' | 'DESTROYING_KEYS' | 'REMOVING_ROWS' | 'FINISHING' | 'DONE';
export type PurgeKind = 'INSTANCE' | 'GROUP' | 'SECRET' | 'VERSION';

/** A version has no UUID, so its purge has one that is made of its secret's and its number. */
export const versionPurgeUid = (secretUid: string, version: number): string => uuidv5(`versions/${version}`, secretUid);

export interface PurgeRow {
  uid: string;
  kind: PurgeKind;
  resource: string;
  state: PurgeState;
  scope_keys_destroyed: bigint;
  versions_removed: bigint;
  secrets_removed: bigint;
  groups_removed: bigint;
  delete_time: Date;
  /** `delete_time` to the microsecond, for paging. */
  delete_cursor: string;
  purge_time: Date;
  start_time: Date | null;
  keys_destroyed_time: Date | null;
  end_time: Date | null;
  deleted_by: string;
  audit_index: bigint | null;
  receipt: string | null;
  last_error: string;
  /** Names of the first holds that stand against it. */
  holds: string[];
  rows_estimated: bigint;
  rows_per_second: number;
  estimated_end_time: Date | null;
}

const REMOVING = `p.state = 'REMOVING_ROWS' and p.last_error = '' and p.rows_per_second > 0`;
const COLUMNS = `p.uid, p.kind, p.resource, p.state, p.scope_keys_destroyed, p.versions_removed, p.secrets_removed, p.groups_removed, p.delete_time,
  p.delete_time::text as delete_cursor, p.purge_time, p.start_time, p.keys_destroyed_time, p.end_time, p.deleted_by, p.audit_index, p.receipt,
  p.last_error, p.rows_estimated, case when ${REMOVING} then p.rows_per_second else 0 end as rows_per_second,
  case when ${REMOVING} then now() + make_interval(secs =>
    greatest(0, p.rows_estimated - p.versions_removed - p.secrets_removed - p.groups_removed) / p.rows_per_second) end as estimated_end_time,
  array(select h.resource || '/holds/' || h.hold_id from holds h where p.state = 'SCHEDULED'
    and ${inLine('h', 'p.instance_uid', 'p.group_uid', 'p.secret_uid')} order by 1 limit 10) as holds`;

/** Those of these that there are, in no order. */
export const selectPurges = (db: Queryable, uids: readonly string[]): Promise<PurgeRow[]> => {
  const text = `select ${COLUMNS} from purges p where p.uid = any($1::uuid[])`;
  return db.query<PurgeRow>({ name: 'store.selectPurges', text, values: [uids] });
};

export const selectPurge = async (db: Queryable, uid: string): Promise<PurgeRow | undefined> => (await selectPurges(db, [uid]))[0];

export const listPurges = (db: Queryable, before: { deleteTime: string; uid: string }, limit: number): Promise<PurgeRow[]> => {
  const text = `select ${COLUMNS} from purges p where (p.delete_time, p.uid) < ($1::timestamptz, $2::uuid) order by p.delete_time desc, p.uid desc limit $3`;
  return db.query<PurgeRow>({ name: 'store.listPurges', text, values: [before.deleteTime, before.uid, limit] });
};

interface NewPurge extends Place {
  uid: string;
  kind: PurgeKind;
  version?: number;
  resource: string;
  purgeTime: Date;
  deletedBy: string;
}

/** The record and the worker's job, in the deleting transaction. */
export const schedulePurge = async (tx: Queryable, p: NewPurge): Promise<void> => {
  const values = [p.uid, p.kind, ...valuesOf(p), p.version ?? null, p.resource, p.purgeTime, p.deletedBy];
  await tx.query({ name: 'store.schedulePurge', text: 'select schedule_purge($1, $2, $3, $4, $5, $6, $7, $8, $9)', values });
};

/** False if the purge has begun. */
export const unschedulePurge = async (tx: Queryable, uid: string): Promise<boolean> => {
  const text = 'select unschedule_purge($1) as done';
  return (await tx.query<{ done: boolean }>({ name: 'store.unschedulePurge', text, values: [uid] }))[0]?.done ?? false;
};

/** Whether this was the name of something purged, or of a secret that was moved, other than the given one: names are never used again. */
export const isRetired = async (db: Queryable, resource: string, secretUid?: string): Promise<boolean> => {
  const text = `select 1 as one from purges where resource = $1 and state <> 'SCHEDULED'
    union all select 1 from moved_names where resource = $1 and secret_uid is distinct from $2::uuid limit 1`;
  return (await db.query({ name: 'store.isRetired', text, values: [resource, secretUid] })).length === 1;
};

/** Makes it due now; false if it has begun. */
export const expeditePurge = async (tx: Queryable, uid: string): Promise<boolean> => {
  const text = 'select expedite_purge($1) as done';
  return (await tx.query<{ done: boolean }>({ name: 'store.expeditePurge', text, values: [uid] }))[0]?.done ?? false;
};

export interface QueueRow {
  scheduled: bigint;
  due: bigint;
  held: bigint;
  running: bigint;
  failed: bigint;
  active: bigint;
  lag_seconds: number;
}

/** All but what a purge above has taken over, which has no work of its own. */
export const selectQueue = async (db: Queryable): Promise<QueueRow> => {
  const due = `p.state = 'SCHEDULED' and p.purge_time <= now() and not p.held`;
  const text = `select count(*) filter (where p.state = 'SCHEDULED' and p.purge_time > now()) as scheduled,
      count(*) filter (where ${due} and p.last_error = '') as due,
      count(*) filter (where p.held) as held,
      count(*) filter (where p.state <> 'SCHEDULED' and p.last_error = '') as running,
      count(*) filter (where not p.held and p.last_error <> '') as failed,
      coalesce(extract(epoch from now() - min(p.purge_time) filter (where ${due})), 0)::float8 as lag_seconds,
      active_purges() as active
    from purges p where p.state <> 'DONE' and (p.absorbed_by is null or p.state = 'FINISHING')`;
  return (await db.query<QueueRow>({ name: 'store.selectQueue', text }))[0]!;
};
