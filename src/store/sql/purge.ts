// The purge, as the worker runs it: every statement it makes in the store's database. Each change is guarded by the purge's
// row: it is made in the state it belongs to, or not at all, so that a step can be repeated, and run twice at once.
import type { Queryable } from '../../kernel/db.ts';
import type { PurgeKind, PurgeState } from './purges.ts';

export type { PurgeKind, PurgeState } from './purges.ts';

export interface Purge {
  /** Of the resource. */
  uid: string;
  kind: PurgeKind;
  instance_uid: string;
  group_uid: string | null;
  resource: string;
  state: PurgeState;
  scope_keys_destroyed: bigint;
  versions_removed: bigint;
  secrets_removed: bigint;
  groups_removed: bigint;
  /** Milliseconds; 0 when due. */
  due_in_ms: number;
  start_time: Date | null;
  keys_destroyed_time: Date | null;
  end_time: Date | null;
  deleted_by: string;
  event_id: string;
  root_key: string | null;
  keys_cursor: string | null;
  absorbed_by: string | null;
}

const COLUMNS = `uid, kind, instance_uid, group_uid, resource, state, scope_keys_destroyed, versions_removed, secrets_removed, groups_removed,
  (greatest(0, extract(epoch from purge_time - now())) * 1000)::float8 as due_in_ms, start_time, keys_destroyed_time, end_time, deleted_by,
  event_id, root_key, keys_cursor, absorbed_by`;

/** Has work of its own: not done, and not waiting for the parent that took over. */
const OPEN = `state <> 'DONE' and (absorbed_by is null or state = 'FINISHING')`;
const ADD_JOB = `graphile_worker.add_job('purge', json_build_object('uid', uid), job_key => 'purge:' || uid, max_attempts => 1000)`;
const NO_UUID = '00000000-0000-0000-0000-000000000000';

/**
 * Plans that walk an index from the cursor on, whatever the statistics say: after a tenant has grown quickly they are wrong,
 * and any other plan reads all of the tenant for each batch.
 */
const walkIndexes = (tx: Queryable) => {
  const off = ['hashjoin', 'mergejoin', 'bitmapscan', 'seqscan', 'sort'].map((name) => `set_config('enable_${name}', 'off', true)`);
  const text = `select set_config('plan_cache_mode', 'force_custom_plan', true), ${off.join(', ')}`;
  return tx.query({ name: 'purge.walkIndexes', text });
};

/**
 * Ends the forcing of custom plans before the foreign keys are checked, which is at the end of the statement: otherwise each
 * row's check is planned anew, at three times the cost of the rest.
 */
const KEEP_PLANS = `set_config('plan_cache_mode', 'auto', true) as plans`;

/** The purge, if there is anything to do for it. */
export const selectOpenPurge = async (db: Queryable, uid: string): Promise<Purge | undefined> => {
  const text = `select ${COLUMNS} from purges where uid = $1 and ${OPEN}`;
  return (await db.query<Purge>({ name: 'purge.select', text, values: [uid] }))[0];
};

/** Undefined if the purge has moved on, or a parent has taken over. */
export const lockPurge = async (tx: Queryable, uid: string, state: PurgeState): Promise<Purge | undefined> => {
  const text = `select ${COLUMNS} from purges where uid = $1 and state = $2 and ${OPEN} for update`;
  return (await tx.query<Purge>({ name: 'purge.lock', text, values: [uid, state] }))[0];
};

// SCHEDULED → DESTROYING_KEYS

interface Resource {
  state: 'ACTIVE' | 'DELETED' | 'PURGING';
  root_key: string | null;
}

const LOCK_RESOURCE: Record<PurgeKind, string> = {
  INSTANCE: 'select state, root_key from instances where instance_uid = $1 and instance_uid = $2 for update',
  GROUP: 'select state, null as root_key from secret_groups where instance_uid = $1 and group_uid = $2 for update',
  SECRET: 'select state, null as root_key from secrets where instance_uid = $1 and secret_uid = $2 for update',
};

/** To be taken before the purge's lock: an undelete takes them in this order. */
export const lockResource = async (tx: Queryable, { kind, instance_uid, uid }: Purge): Promise<Resource | undefined> =>
  (await tx.query<Resource>({ name: `purge.lockResource.${kind}`, text: LOCK_RESOURCE[kind], values: [instance_uid, uid] }))[0];

const MARK: Record<PurgeKind, string> = {
  INSTANCE: `update instances set state = 'PURGING', revision = revision + 1, update_time = now() where instance_uid = $1 and instance_uid = $2`,
  GROUP: `update secret_groups set state = 'PURGING', revision = revision + 1, update_time = now() where instance_uid = $1 and group_uid = $2`,
  SECRET: `update secrets set state = 'PURGING', revision = revision + 1, update_time = now() where instance_uid = $1 and secret_uid = $2`,
};

/** No way back from here. */
export const beginPurge = async (tx: Queryable, { kind, instance_uid, uid }: Purge, rootKey: string | null): Promise<void> => {
  await tx.query({ name: `purge.mark.${kind}`, text: MARK[kind], values: [instance_uid, uid] });
  const text = `update purges set state = 'DESTROYING_KEYS', start_time = now(), root_key = $2, last_error = '' where uid = $1`;
  await tx.query({ name: 'purge.begin', text, values: [uid, rootKey] });
};

/**
 * Takes over what purges below have left to do, also those not due yet: from now on they change nothing by themselves. To
 * be repeated until it answers 0.
 */
export const absorbPurges = async (tx: Queryable, { kind, instance_uid, group_uid, uid, start_time }: Purge, limit: number) => {
  if (kind === 'SECRET') return 0;
  const text = `update purges set absorbed_by = $3, purge_time = least(purge_time, $4), last_error = '',
      start_time = coalesce(start_time, $4), state = case state when 'SCHEDULED' then 'DESTROYING_KEYS' else state end
    where uid in (
      select uid from purges where instance_uid = $1 and ($2::uuid is null or group_uid = $2) and uid <> $3
        and state in ('SCHEDULED', 'DESTROYING_KEYS', 'REMOVING_ROWS') and absorbed_by is distinct from $3 limit $5)
    returning uid`;
  return (await tx.query({ name: 'purge.absorb', text, values: [instance_uid, group_uid, uid, start_time, limit] })).length;
};

// DESTROYING_KEYS → REMOVING_ROWS

/** The next groups whose scope keys are to be destroyed, in the order of their uids; not those a purge of their own has done. */
export const selectScopes = async (tx: Queryable, p: Purge, limit: number): Promise<string[]> => {
  if (p.kind === 'SECRET') return [];
  await walkIndexes(tx);
  const text = `select group_uid from secret_groups g where instance_uid = $1 and ($2::uuid is null or group_uid = $2) and group_uid > $3
    and not exists (select from purges own where own.uid = g.group_uid and own.uid <> $4 and own.scope_keys_destroyed > 0)
    order by group_uid limit $5`;
  const values = [p.instance_uid, p.group_uid, p.keys_cursor ?? NO_UUID, p.uid, limit];
  return (await tx.query<{ group_uid: string }>({ name: 'purge.selectScopes', text, values })).map((row) => row.group_uid);
};

/** Counts keys destroyed since the cursor was read. False, and nothing counted, if the purge is not where it was then. */
export const recordScopes = async (tx: Queryable, { uid, keys_cursor }: Purge, destroyed: readonly string[]): Promise<boolean> => {
  const text = `update purges set scope_keys_destroyed = scope_keys_destroyed + $3, keys_cursor = $4, last_error = ''
    where uid = $1 and state = 'DESTROYING_KEYS' and absorbed_by is null and keys_cursor is not distinct from $2 returning uid`;
  const values = [uid, keys_cursor, destroyed.length, destroyed.at(-1)];
  return (await tx.query({ name: 'purge.recordScopes', text, values })).length === 1;
};

/** A secret has no key of its own: what opens its versions is erased with them. To be repeated until it answers 0. */
export const erasePayloads = async (tx: Queryable, p: Purge, limit: number): Promise<number> => {
  if (p.kind !== 'SECRET') return 0;
  const text = `update secret_versions set state = 'DESTROYED', wrapped_dek = null, sealed = null, destroy_time = now(), revision = revision + 1
    where instance_uid = $1 and secret_uid = $2 and version in (
      select version from secret_versions where instance_uid = $1 and secret_uid = $2 and state <> 'DESTROYED' limit $3)
    returning version`;
  return (await tx.query({ name: 'purge.erasePayloads', text, values: [p.instance_uid, p.uid, limit] })).length;
};

export const recordKeysDestroyed = async (tx: Queryable, uid: string): Promise<void> => {
  const text = `update purges set state = 'REMOVING_ROWS', keys_destroyed_time = now(), last_error = '' where uid = $1`;
  await tx.query({ name: 'purge.recordKeysDestroyed', text, values: [uid] });
};

// REMOVING_ROWS → FINISHING

/** Where a batch ended; the next one goes on after it. */
export interface Cursor {
  group_uid: string;
  secret_id: string;
  version: number;
}
export const START: Cursor = { group_uid: NO_UUID, secret_id: '', version: 0 };

export interface Batch {
  removed: number;
  last: Cursor;
}
type Counted = Partial<Cursor> & { removed: number };
const batchOf = ([row]: Counted[]): Batch => (row ? { removed: row.removed, last: { ...START, ...row } } : { removed: 0, last: START });

const scopeOf = (p: Purge) => [p.instance_uid, p.kind === 'GROUP' ? p.group_uid : null, p.kind === 'SECRET' ? p.uid : null];
const IN_SCOPE = `s.instance_uid = $1 and ($2::uuid is null or s.group_uid = $2) and ($3::uuid is null or s.secret_uid = $3)`;

export const removeVersions = async (tx: Queryable, p: Purge, after: Cursor, limit: number): Promise<Batch> => {
  await walkIndexes(tx);
  // The limit inside keeps the planner from turning the join around.
  const text = `with doomed as materialized (
      select s.group_uid, s.secret_id, v.version, v.place from secrets s cross join lateral (
        select version, ctid as place from secret_versions
        where instance_uid = $1 and secret_uid = s.secret_uid and (s.group_uid, s.secret_id, version) > ($4, $5, $6::int)
        order by version limit $7) v
      where ${IN_SCOPE} and (s.group_uid, s.secret_id) >= ($4::uuid, $5::text) order by s.group_uid, s.secret_id, v.version limit $7),
    gone as (delete from secret_versions where ctid = any(array(select place from doomed)) returning 1)
    select group_uid, secret_id, version, (select count(*) from gone)::int as removed from doomed
    order by group_uid desc, secret_id desc, version desc limit 1`;
  const values = [...scopeOf(p), after.group_uid, after.secret_id, after.version, limit];
  return batchOf(await tx.query<Counted>({ name: 'purge.removeVersions', text, values }));
};

export const removeSecrets = async (tx: Queryable, p: Purge, after: Cursor, limit: number): Promise<Batch> => {
  await walkIndexes(tx);
  const text = `with doomed as materialized (
      select s.group_uid, s.secret_id, s.ctid as place from secrets s
      where ${IN_SCOPE} and (s.group_uid, s.secret_id) > ($4::uuid, $5::text) order by s.group_uid, s.secret_id limit $6),
    gone as (delete from secrets where ctid = any(array(select place from doomed)) returning 1)
    select group_uid, secret_id, (select count(*) from gone)::int as removed, ${KEEP_PLANS} from doomed order by group_uid desc, secret_id desc limit 1`;
  const values = [...scopeOf(p), after.group_uid, after.secret_id, limit];
  return batchOf(await tx.query<Counted>({ name: 'purge.removeSecrets', text, values }));
};

export const removeGroups = async (tx: Queryable, p: Purge, after: Cursor, limit: number): Promise<Batch> => {
  if (p.kind === 'SECRET') return batchOf([]);
  await walkIndexes(tx);
  const text = `with doomed as materialized (
      select group_uid, ctid as place from secret_groups where instance_uid = $1 and ($2::uuid is null or group_uid = $2) and group_uid > $3
      order by group_uid limit $4),
    gone as (delete from secret_groups where ctid = any(array(select place from doomed)) returning 1)
    select group_uid, (select count(*) from gone)::int as removed, ${KEEP_PLANS} from doomed order by group_uid desc limit 1`;
  const values = [p.instance_uid, p.group_uid, after.group_uid, limit];
  return batchOf(await tx.query<Counted>({ name: 'purge.removeGroups', text, values }));
};

export type Counter = 'versions' | 'secrets' | 'groups';
const COUNT: Record<Counter, string> = {
  versions: `update purges set versions_removed = versions_removed + $2, last_error = '' where uid = $1`,
  secrets: `update purges set secrets_removed = secrets_removed + $2, last_error = '' where uid = $1`,
  groups: `update purges set groups_removed = groups_removed + $2, last_error = '' where uid = $1`,
};

/** In the transaction of the removal, so that the count is exact after any crash. */
export const countRemoved = async (tx: Queryable, uid: string, counter: Counter, removed: number): Promise<void> => {
  await tx.query({ name: `purge.count.${counter}`, text: COUNT[counter], values: [uid, removed] });
};

/** Bindings on the resource and below it; and an instance's own row, which nothing refers to any more. */
export const removeScope = async (tx: Queryable, { kind, instance_uid, resource }: Purge): Promise<void> => {
  if (kind === 'SECRET') return;
  const bindings = `with gone as (delete from bindings where scope = $1 or starts_with(scope, $1 || '/') returning 1)
    update bindings_epoch set epoch = epoch + 1 where exists (select from gone)`;
  await tx.query({ name: 'purge.removeBindings', text: bindings, values: [resource] });
  if (kind === 'INSTANCE')
    await tx.query({ name: 'purge.removeInstance', text: 'delete from instances where instance_uid = $1', values: [instance_uid] });
};

/** Lets purges that were taken over end, now that what they would have removed is gone. To be repeated until it answers 0. */
export const releasePurges = async (tx: Queryable, { uid, keys_destroyed_time }: Purge, limit: number): Promise<number> => {
  const text = `with released as (
      update purges set state = 'FINISHING', keys_destroyed_time = coalesce(keys_destroyed_time, $2)
      where uid in (select uid from purges where absorbed_by = $1 and state not in ('FINISHING', 'DONE') limit $3) returning uid)
    select ${ADD_JOB} from released`;
  return (await tx.query({ name: 'purge.release', text, values: [uid, keys_destroyed_time, limit] })).length;
};

export const recordRowsRemoved = async (tx: Queryable, uid: string): Promise<void> => {
  const text = `update purges set state = 'FINISHING', last_error = '' where uid = $1`;
  await tx.query({ name: 'purge.recordRowsRemoved', text, values: [uid] });
};

// FINISHING → DONE

/** Fixes the end, which is part of the audit entry, before the entry is made: a repeated step makes the same one. */
export const recordEnd = async (tx: Queryable, uid: string): Promise<void> => {
  const text = `update purges set end_time = coalesce(end_time, now()), last_error = '' where uid = $1 and state = 'FINISHING'`;
  await tx.query({ name: 'purge.recordEnd', text, values: [uid] });
};

/** Another id for the entry: the log has the old one with other content, as after a restore of this database. */
export const renewEventId = async (tx: Queryable, { uid, event_id }: Purge): Promise<void> => {
  const text = 'update purges set event_id = gen_random_uuid() where uid = $1 and event_id = $2';
  await tx.query({ name: 'purge.renewEventId', text, values: [uid, event_id] });
};

export const finishPurge = async (tx: Queryable, uid: string, auditIndex: bigint, receipt: string): Promise<void> => {
  const text = `update purges set state = 'DONE', audit_index = $2, receipt = $3, last_error = '' where uid = $1 and state = 'FINISHING'`;
  await tx.query({ name: 'purge.finish', text, values: [uid, auditIndex, receipt] });
};

// The job

export const recordFailure = async (tx: Queryable, uid: string, error: string): Promise<void> => {
  const text = `update purges set last_error = $2 where uid = $1 and ${OPEN} and last_error <> $2`;
  await tx.query({ name: 'purge.recordFailure', text, values: [uid, error] });
};

/** Another turn for the purge, in place of any job it has; `failures` is what the next failure counts from. */
export const addTurn = async (tx: Queryable, uid: string, delayMs: number, failures: number): Promise<void> => {
  const text = `select graphile_worker.add_job('purge', json_build_object('uid', $1::text, 'failures', $3::int),
    run_at => now() + make_interval(secs => $2::float8 / 1000), job_key => 'purge:' || $1, max_attempts => 1000)`;
  await tx.query({ name: 'purge.addTurn', text, values: [uid, delayMs, failures] });
};

/** Purges that are due and have lost their job, as after a restore: each gets one. */
export const addLostJobs = async (tx: Queryable, limit: number): Promise<string[]> => {
  const text = `with lost as (
      select uid from purges where purge_time <= now() and ${OPEN} and not exists (
        select from graphile_worker.jobs where key = 'purge:' || purges.uid and attempts < max_attempts)
      limit $1)
    select uid, ${ADD_JOB} from lost`;
  return (await tx.query<{ uid: string }>({ name: 'purge.addLostJobs', text, values: [limit] })).map((row) => row.uid);
};
