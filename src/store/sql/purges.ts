// Table `purges`, as the store sees it: it schedules and shows; only the worker purges.
import type { Queryable } from '../../kernel/db.ts';

export type PurgeState = 'SCHEDULED' | 'DESTROYING_KEYS' | 'REMOVING_ROWS' | 'FINISHING' | 'DONE';
export type PurgeKind = 'INSTANCE' | 'GROUP' | 'SECRET';

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
}

const COLUMNS = `uid, kind, resource, state, scope_keys_destroyed, versions_removed, secrets_removed, groups_removed, delete_time, delete_time::text as delete_cursor,
  purge_time, start_time, keys_destroyed_time, end_time, deleted_by, audit_index, receipt, last_error`;

export const selectPurge = async (db: Queryable, uid: string): Promise<PurgeRow | undefined> =>
  (await db.query<PurgeRow>({ name: 'store.selectPurge', text: `select ${COLUMNS} from purges where uid = $1`, values: [uid] }))[0];

export const listPurges = (db: Queryable, before: { deleteTime: string; uid: string }, limit: number): Promise<PurgeRow[]> => {
  const text = `select ${COLUMNS} from purges where (delete_time, uid) < ($1::timestamptz, $2::uuid) order by delete_time desc, uid desc limit $3`;
  return db.query<PurgeRow>({ name: 'store.listPurges', text, values: [before.deleteTime, before.uid, limit] });
};

export interface NewPurge {
  uid: string;
  kind: PurgeKind;
  instanceUid: string;
  groupUid: string | null;
  resource: string;
  purgeTime: Date;
  deletedBy: string;
}

/** The record and the worker's job, in the deleting transaction. */
export const schedulePurge = async (tx: Queryable, p: NewPurge): Promise<void> => {
  const values = [p.uid, p.kind, p.instanceUid, p.groupUid, p.resource, p.purgeTime, p.deletedBy];
  await tx.query({ name: 'store.schedulePurge', text: 'select schedule_purge($1, $2, $3, $4, $5, $6, $7)', values });
};

/** False if the purge has begun. */
export const unschedulePurge = async (tx: Queryable, uid: string): Promise<boolean> => {
  const text = 'select unschedule_purge($1) as done';
  return (await tx.query<{ done: boolean }>({ name: 'store.unschedulePurge', text, values: [uid] }))[0]?.done ?? false;
};

/** Whether a resource of this name was purged: names are never used again. */
export const isRetired = async (db: Queryable, resource: string): Promise<boolean> => {
  const text = `select 1 as one from purges where resource = $1 and state <> 'SCHEDULED' limit 1`;
  return (await db.query({ name: 'store.isRetired', text, values: [resource] })).length === 1;
};
