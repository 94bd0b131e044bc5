// REMOVING_ROWS, as the worker runs it: what is unreadable by now goes in batches, each counted in its own transaction.
import type { Queryable } from '../../kernel/db.ts';
import { ADD_JOB, NO_UUID, UNNAMED, walkIndexes, type Counter, type Cursor, type Purge } from './purge.ts';

export type { Counter, Cursor } from './purge.ts';

export const START: Cursor = { group_uid: NO_UUID, secret_id: '', version: 0 };

export interface Batch {
  removed: number;
  last: Cursor;
}
type Counted = Partial<Cursor> & { removed: number };
const batchOf = ([{ removed, ...last } = { removed: 0 }]: Counted[]): Batch => ({ removed, last: { ...START, ...last } });

const scopeOf = (p: Purge) => [p.instance_uid, p.group_uid, p.secret_uid];

/**
 * From the cursor on. In a group, where secret_id alone has that order: beside `group_uid =` an index would begin a comparison
 * of both at the group's first secret, and read all that is gone for each batch.
 */
const from = (p: Purge, is: '>' | '>='): string =>
  p.group_uid ? `$4::uuid is not null and s.secret_id ${is} $5` : `(s.group_uid, s.secret_id) ${is} ($4::uuid, $5::text)`;
const IN_SCOPE = `s.instance_uid = $1 and ($2::uuid is null or s.group_uid = $2) and ($3::uuid is null or s.secret_uid = $3)`;

export const removeVersions = async (tx: Queryable, p: Purge, after: Cursor, limit: number): Promise<Batch> => {
  await walkIndexes(tx);
  // The limit inside keeps the planner from turning the join around; a bound on the version alone is one that its index can begin at.
  const text = `with doomed as materialized (
      select s.group_uid, s.secret_id, v.version, v.place from secrets s cross join lateral (
        select version, ctid as place from secret_versions
        where instance_uid = $1 and secret_uid = s.secret_uid and version > case when (s.group_uid, s.secret_id) = ($4, $5) then $6::int else 0 end
        order by version limit $7) v
      where ${IN_SCOPE} and ${from(p, '>=')} order by s.group_uid, s.secret_id, v.version limit $7),
    gone as (delete from secret_versions where ctid = any(array(select place from doomed)) returning 1)
    select group_uid, secret_id, version, (select count(*) from gone)::int as removed from doomed
    order by group_uid desc, secret_id desc, version desc limit 1`;
  const values = [...scopeOf(p), after.group_uid, after.secret_id, after.version, limit];
  return batchOf(await tx.query<Counted>({ name: UNNAMED, text, values }));
};

export const removeSecrets = async (tx: Queryable, p: Purge, after: Cursor, limit: number): Promise<Batch> => {
  await walkIndexes(tx);
  const text = `with doomed as materialized (
      select s.group_uid, s.secret_id, s.ctid as place from secrets s
      where ${IN_SCOPE} and ${from(p, '>')} order by s.group_uid, s.secret_id limit $6),
    gone as (delete from secrets where ctid = any(array(select place from doomed)) returning 1)
    select group_uid, secret_id, (select count(*) from gone)::int as removed from doomed order by group_uid desc, secret_id desc limit 1`;
  const values = [...scopeOf(p), after.group_uid, after.secret_id, limit];
  return batchOf(await tx.query<Counted>({ name: UNNAMED, text, values }));
};

export const removeGroups = async (tx: Queryable, p: Purge, after: Cursor, limit: number): Promise<Batch> => {
  if (p.secret_uid) return batchOf([]);
  await walkIndexes(tx);
  const text = `with doomed as materialized (
      select group_uid, ctid as place from secret_groups where instance_uid = $1 and ($2::uuid is null or group_uid = $2) and group_uid > $3
      order by group_uid limit $4),
    gone as (delete from secret_groups where ctid = any(array(select place from doomed)) returning 1)
    select group_uid, (select count(*) from gone)::int as removed from doomed order by group_uid desc limit 1`;
  const values = [p.instance_uid, p.group_uid, after.group_uid, limit];
  return batchOf(await tx.query<Counted>({ name: UNNAMED, text, values }));
};

/** The rate is that of the last batches, each counting a fifth of what all before it count. */
const RATE = 'rows_per_second = case rows_per_second when 0 then $3 else rows_per_second + ($3 - rows_per_second) / 5 end';
const COUNT: Record<Counter, string> = {
  versions: `update purges set versions_removed = versions_removed + $2, ${RATE}, rows_cursor = $4, last_error = '' where uid = $1`,
  secrets: `update purges set secrets_removed = secrets_removed + $2, ${RATE}, rows_cursor = $4, last_error = '' where uid = $1`,
  groups: `update purges set groups_removed = groups_removed + $2, ${RATE}, rows_cursor = $4, last_error = '' where uid = $1`,
};

/** In the transaction of the removal, so that the count is exact after any crash. */
export const countRemoved = async (tx: Queryable, uid: string, counter: Counter, batch: Batch, perSecond: number): Promise<void> => {
  const values = [uid, batch.removed, perSecond, { counter, ...batch.last }];
  await tx.query({ name: `purge.count.${counter}`, text: COUNT[counter], values });
};

/** Up to here rows are counted, which takes a tenth of a second; beyond it the planner is asked. */
const COUNTED = 100_000;
const PLAN = /"Plan Rows": *(\d+)/;

/**
 * How many rows there are to remove, as progress needs to know it. A secret's newest number is how many versions it has: none
 * of them goes but with it.
 */
export const estimateRows = async (tx: Queryable, p: Purge): Promise<void> => {
  await walkIndexes(tx);
  const counted = `select count(*)::int as secrets, coalesce(sum(latest_version), 0)::float8 as versions,
      (select count(*) from secret_groups where instance_uid = $1 and ($2::uuid is null or group_uid = $2) and $3::uuid is null)::int as groups
    from (select latest_version from secrets s where ${IN_SCOPE} limit ${COUNTED}) first`;
  const [found] = await tx.query<{ secrets: number; versions: number; groups: number }>({
    name: UNNAMED,
    text: counted,
    values: scopeOf(p),
  });
  const { secrets, versions, groups } = found!;
  let all = secrets;
  if (secrets === COUNTED) {
    const text = `explain (format json) select 1 from secrets s where ${IN_SCOPE}`;
    const [plan] = await tx.query({ name: UNNAMED, text, values: scopeOf(p) });
    all = Math.max(secrets, Number(PLAN.exec(JSON.stringify(plan))?.[1] ?? 0));
  }
  const estimate = Math.round(secrets === 0 ? groups : groups + all * (1 + versions / secrets));
  const text = 'update purges set rows_estimated = $2 where uid = $1';
  await tx.query({ name: 'purge.recordEstimate', text, values: [p.uid, estimate] });
};

/** Bindings on the resource and below it; and an instance's own row, which nothing refers to any more. */
export const removeScope = async (tx: Queryable, { kind, instance_uid, secret_uid, resource }: Purge): Promise<void> => {
  if (secret_uid) return;
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
