// The purge, as the worker runs it: with purge-rows.ts and purge-restored.ts every statement it makes in the store's database.
// Each change is guarded by the purge's row: it is made in the state it belongs to, or not at all, so that a step can be
// repeated, and run twice at once.
import type { Queryable } from '../../kernel/db.ts';
import { inLine } from './place.ts';
import type { PurgeKind, PurgeState } from './purges.ts';

export { versionPurgeUid, type PurgeKind, type PurgeState } from './purges.ts';

export type Counter = 'versions' | 'secrets' | 'groups';

/** Where a batch of rows ended; the next one goes on after it. */
export interface Cursor {
  group_uid: string;
  secret_id: string;
  version: number;
}

export interface Purge {
  /** Of the resource. */
  uid: string;
  kind: PurgeKind;
  instance_uid: string;
  group_uid: string | null;
  secret_uid: string | null;
  version: number | null;
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
  rows_cursor: (Cursor & { counter: Counter }) | null;
  absorbed_by: string | null;
  /** Waits for a hold to go, and is woken then. */
  held: boolean;
  rows_estimated: bigint;
}

const COLUMNS = `uid, kind, instance_uid, group_uid, secret_uid, version, resource, state, scope_keys_destroyed, versions_removed, secrets_removed, groups_removed,
  (greatest(0, extract(epoch from purge_time - now())) * 1000)::float8 as due_in_ms, start_time, keys_destroyed_time, end_time, deleted_by,
  event_id, root_key, keys_cursor, rows_cursor, absorbed_by, held, rows_estimated`;

/** Has work of its own: not done, and not waiting for the parent that took over. */
const OPEN = `state <> 'DONE' and (absorbed_by is null or state = 'FINISHING')`;
export const ADD_JOB = `graphile_worker.add_job('purge', json_build_object('uid', uid), job_key => 'purge:' || uid, max_attempts => 1000)`;
export const NO_UUID = '00000000-0000-0000-0000-000000000000';

/**
 * Plans that walk an index from the cursor on, whatever the statistics say: after a tenant has grown quickly they are wrong,
 * and any other plan reads all of the tenant for each batch.
 */
export const walkIndexes = (tx: Queryable) => {
  const off = ['hashjoin', 'mergejoin', 'bitmapscan', 'seqscan', 'sort'].map((name) => `set_config('enable_${name}', 'off', true)`);
  return tx.query({ name: 'purge.walkIndexes', text: `select ${off.join(', ')}` });
};

/**
 * The name of statements that are planned anew each time, for the place they are given. `plan_cache_mode` would have the same
 * done to every check of a foreign key, each of which then reads the index entries of all rows that are gone already.
 */
export const UNNAMED = '';

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

const IN_GROUP = 'secret_groups g join instances i using (instance_uid)';
const IN_SECRET = `secrets s join secret_groups g using (instance_uid, group_uid) join instances i using (instance_uid)`;
const LOCK_RESOURCE: Record<PurgeKind, string> = {
  INSTANCE: 'select state, root_key from instances where instance_uid = $1 and instance_uid = $2 for update',
  GROUP: `select g.state, null as root_key from ${IN_GROUP} where g.instance_uid = $1 and g.group_uid = $2 for update of g for share of i`,
  SECRET: `select s.state, null as root_key from ${IN_SECRET} where s.instance_uid = $1 and s.secret_uid = $2 for update of s for share of g, i`,
  VERSION: `select s.state, null as root_key from ${IN_SECRET} where s.instance_uid = $1 and s.secret_uid = $2 for share of s, g, i`,
};

/** Whoever changes a version has its secret's row, so that to be read is enough once that is locked. */
const selectVersion = async (tx: Queryable, { instance_uid, secret_uid, version }: Purge): Promise<Resource | undefined> => {
  const text = `select case state when 'DESTROY_SCHEDULED' then 'DELETED' else 'ACTIVE' end as state, null as root_key
    from secret_versions where instance_uid = $1 and secret_uid = $2 and version = $3`;
  return (await tx.query<Resource>({ name: 'purge.selectVersion', text, values: [instance_uid, secret_uid, version] }))[0];
};

/**
 * To be taken before the purge's lock: an undelete takes them in this order. What is above is locked too, for share: so a
 * hold that is being made or deleted there is seen.
 */
export const lockResource = async (tx: Queryable, purge: Purge): Promise<Resource | undefined> => {
  const { kind, instance_uid } = purge;
  const values = [instance_uid, kind === 'VERSION' ? purge.secret_uid : purge.uid];
  const [row] = await tx.query<Resource>({ name: `purge.lockResource.${kind}`, text: LOCK_RESOURCE[kind], values });
  return kind === 'VERSION' ? selectVersion(tx, purge) : row;
};

/** Names of the first holds that stand against it. */
export const selectHolds = async (tx: Queryable, { uid }: Purge, limit: number): Promise<string[]> => {
  const text = `select h.resource || '/holds/' || h.hold_id as name from purges p join holds h
    on ${inLine('h', 'p.instance_uid', 'p.group_uid', 'p.secret_uid')} where p.uid = $1 order by 1 limit $2`;
  return (await tx.query<{ name: string }>({ name: 'purge.selectHolds', text, values: [uid, limit] })).map((row) => row.name);
};

/** From now on it has no job; who deletes the hold gives it one. */
export const recordHeld = async (tx: Queryable, uid: string, sentence: string): Promise<void> => {
  const text = 'update purges set held = true, last_error = $2 where uid = $1';
  await tx.query({ name: 'purge.recordHeld', text, values: [uid, sentence] });
};

const MARK: Record<Exclude<PurgeKind, 'VERSION'>, string> = {
  INSTANCE: `update instances set state = 'PURGING', revision = revision + 1, update_time = now() where instance_uid = $1 and instance_uid = $2`,
  GROUP: `update secret_groups set state = 'PURGING', revision = revision + 1, update_time = now() where instance_uid = $1 and group_uid = $2`,
  SECRET: `update secrets set state = 'PURGING', revision = revision + 1, update_time = now() where instance_uid = $1 and secret_uid = $2`,
};

/** No way back from here. */
export const beginPurge = async (tx: Queryable, { kind, instance_uid, uid }: Purge, rootKey: string | null): Promise<void> => {
  if (kind !== 'VERSION') await tx.query({ name: `purge.mark.${kind}`, text: MARK[kind], values: [instance_uid, uid] });
  const text = `update purges set state = 'DESTROYING_KEYS', start_time = now(), root_key = $2, last_error = '' where uid = $1`;
  await tx.query({ name: 'purge.begin', text, values: [uid, rootKey] });
};

/** Of the place $1, $2, $3, whole, so that an index finds it. */
const BELOW: Record<Exclude<PurgeKind, 'VERSION'>, string> = {
  INSTANCE: 'instance_uid = $1 and coalesce($2::uuid, $3::uuid) is null',
  GROUP: 'instance_uid = $1 and group_uid = $2 and $3::uuid is null',
  SECRET: 'instance_uid = $1 and group_uid = $2 and secret_uid = $3',
};

/**
 * Takes over what purges below have left to do, also those not due yet: from now on they change nothing by themselves. To
 * be repeated until it answers 0.
 */
export const absorbPurges = async (tx: Queryable, { kind, uid, start_time, ...place }: Purge, limit: number): Promise<number> => {
  if (kind === 'VERSION') return 0;
  const text = `update purges set absorbed_by = $4, purge_time = least(purge_time, $5), last_error = '', held = false,
      start_time = coalesce(start_time, $5), state = case state when 'SCHEDULED' then 'DESTROYING_KEYS' else state end
    where uid in (
      select uid from purges where ${BELOW[kind]} and uid <> $4
        and state in ('SCHEDULED', 'DESTROYING_KEYS', 'REMOVING_ROWS') and absorbed_by is distinct from $4 limit $6)
    returning uid`;
  const values = [place.instance_uid, place.group_uid, place.secret_uid, uid, start_time, limit];
  return (await tx.query({ name: `purge.absorb.${kind}`, text, values })).length;
};

// DESTROYING_KEYS → REMOVING_ROWS

/** The next groups whose scope keys are to be destroyed, in the order of their uids; not those a purge of their own has done. */
export const selectScopes = async (tx: Queryable, p: Purge, limit: number): Promise<string[]> => {
  if (p.secret_uid) return [];
  await walkIndexes(tx);
  const text = `select group_uid from secret_groups g where instance_uid = $1 and ($2::uuid is null or group_uid = $2) and group_uid > $3
    and not exists (select from purges own where own.uid = g.group_uid and own.uid <> $4 and own.scope_keys_destroyed > 0)
    order by group_uid limit $5`;
  const values = [p.instance_uid, p.group_uid, p.keys_cursor ?? NO_UUID, p.uid, limit];
  return (await tx.query<{ group_uid: string }>({ name: UNNAMED, text, values })).map((row) => row.group_uid);
};

/** Counts keys destroyed since the cursor was read. False, and nothing counted, if the purge is not where it was then. */
export const recordScopes = async (tx: Queryable, { uid, keys_cursor }: Purge, destroyed: readonly string[]): Promise<boolean> => {
  const text = `update purges set scope_keys_destroyed = scope_keys_destroyed + $3, keys_cursor = $4, last_error = ''
    where uid = $1 and state = 'DESTROYING_KEYS' and absorbed_by is null and keys_cursor is not distinct from $2 returning uid`;
  const values = [uid, keys_cursor, destroyed.length, destroyed.at(-1)];
  return (await tx.query({ name: 'purge.recordScopes', text, values })).length === 1;
};

/**
 * A secret has no key of its own: what opens its versions, or one of them, is erased. Answers the last version erased; to be
 * repeated, from there on, until there is none.
 */
export const erasePayloads = async (tx: Queryable, p: Purge, after: number, limit: number): Promise<number | undefined> => {
  if (!p.secret_uid) return undefined;
  await walkIndexes(tx);
  const text = `update secret_versions set state = 'DESTROYED', wrapped_dek = null, sealed = null, destroy_time = now(), revision = revision + 1
    where instance_uid = $1 and secret_uid = $2 and version in (
      select version from secret_versions where instance_uid = $1 and secret_uid = $2 and state <> 'DESTROYED'
        and ($4::int is null or version = $4) and version > $5 order by version limit $3)
    returning version`;
  const values = [p.instance_uid, p.secret_uid, limit, p.version, after];
  const erased = await tx.query<{ version: number }>({ name: UNNAMED, text, values });
  return erased.length === 0 ? undefined : Math.max(...erased.map(({ version }) => version));
};

export const recordKeysDestroyed = async (tx: Queryable, uid: string): Promise<void> => {
  const text = `update purges set state = 'REMOVING_ROWS', keys_destroyed_time = now(), last_error = '' where uid = $1`;
  await tx.query({ name: 'purge.recordKeysDestroyed', text, values: [uid] });
};

// REMOVING_ROWS → FINISHING

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
      select uid from purges where purge_time <= now() and not held and ${OPEN} and not exists (
        select from graphile_worker.jobs where key = 'purge:' || purges.uid and attempts < max_attempts)
      limit $1)
    select uid, ${ADD_JOB} from lost`;
  return (await tx.query<{ uid: string }>({ name: 'purge.addLostJobs', text, values: [limit] })).map((row) => row.uid);
};

/** For how many seconds the oldest of the due has been waiting to begin; not those that are held. */
export const selectLag = async (db: Queryable): Promise<number> => {
  const text = `select coalesce(extract(epoch from now() - min(purge_time)), 0)::float8 as seconds
    from purges where state = 'SCHEDULED' and not held and purge_time <= now()`;
  return (await db.query<{ seconds: number }>({ name: 'purge.selectLag', text }))[0]?.seconds ?? 0;
};
