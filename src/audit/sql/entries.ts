// Tables `entries` and `private_fields`, for readers.
import type { Event_Outcome, Event_Severity } from '../../gen/strongroom/audit/v1/audit_service.ts';
import type { Queryable } from '../../kernel/db.ts';

export interface EntryRow {
  index: bigint;
  source: string;
  record_time: Date;
  leaf: Buffer;
  leaf_hash: Buffer;
  /** What of its private fields was not erased; the key in base64. */
  private: { field: string; value: string; key: string }[] | null;
}

const COLUMNS = `index, source, record_time, leaf, leaf_hash,
  (select json_agg(json_build_object('field', p.field, 'value', p.value, 'key', encode(p.key, 'base64')))
    from private_fields p where p.index = entries.index) as private`;
const SUCCESS = 1;
const NORMAL = 1;

/** What is empty, zero or undefined fits every entry. */
export interface Filter {
  resource: string;
  principal: string;
  correlationId: string;
  action: string;
  outcome: number;
  severity: number;
  instances: readonly string[] | undefined;
}

const NOTHING: Filter = { resource: '', principal: '', correlationId: '', action: '', outcome: 0, severity: 0, instances: undefined };

/** From the first index up to the second, without it. */
export interface Range {
  from: bigint;
  end: bigint;
}

/**
 * The statement for a filter, without a name, so that it is planned for what it asks for each time: a plan for anything walks back through all
 * of the log for somebody who is not in it. `SUCCESS` and `NORMAL` have no index, since most entries are both; the condition that the
 * others are not is what their index asks for.
 */
const statementOf = (filter: Filter, { from, end }: Range, limit: number, make: (where: string) => string) => {
  const values: unknown[] = [from, end, limit];
  const where = ['index >= $1', 'index < $2'];
  const add = (value: unknown, condition: (parameter: string) => string): void => {
    if (!value) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  // Names and actions are compared by their bytes: `0` comes after `/`, and `/` after `.`.
  add(filter.resource, (p) => `(resource = ${p} or (resource ~>=~ (${p} || '/') and resource ~<~ (${p} || '0')))`);
  const [below] = filter.action.endsWith('.*') ? [filter.action.slice(0, -2)] : [];
  add(below === undefined && filter.action, (p) => `action = ${p}`);
  add(below, (p) => `action ~>=~ (${p} || '.') and action ~<~ (${p} || '/')`);
  add(filter.correlationId, (p) => `correlation_id = ${p} and correlation_id <> ''`);
  add(filter.principal, (p) => `(principal = ${p} or on_behalf_of = ${p})`);
  add(filter.outcome === SUCCESS && filter.outcome, (p) => `outcome = ${p}`);
  add(filter.outcome !== SUCCESS && filter.outcome, (p) => `outcome = ${p} and outcome <> ${SUCCESS}`);
  add(filter.severity === NORMAL && filter.severity, (p) => `severity = ${p}`);
  add(filter.severity !== NORMAL && filter.severity, (p) => `severity = ${p} and severity <> ${NORMAL}`);
  // One instance is the usual case, and only then does its index give the order as well.
  const [one, ...more] = filter.instances ?? [];
  const single = more.length === 0 ? one : undefined;
  add(single, (p) => `instance_uid = ${p}::uuid`);
  add(single === undefined && filter.instances, (p) => `instance_uid = any(${p}::uuid[])`);
  return { name: '', text: make(where.join(' and ')), values };
};

export const selectEntry = async (db: Queryable, index: bigint, instances?: readonly string[]): Promise<EntryRow | undefined> =>
  (await listEntries(db, { ...NOTHING, instances }, { from: index, end: index + 1n }, 1, 'asc'))[0];

export const listEntries = (db: Queryable, filter: Filter, range: Range, limit: number, order: 'asc' | 'desc'): Promise<EntryRow[]> =>
  db.query<EntryRow>(
    statementOf(filter, range, limit, (where) => `select ${COLUMNS} from entries where ${where} order by index ${order} limit $3`),
  );

/** The index after the newest entry. */
export const selectEnd = async (db: Queryable): Promise<bigint> => {
  const text = 'select coalesce(max(index) + 1, 0) as end from entries';
  return (await db.query<{ end: bigint }>({ name: 'audit.selectEnd', text }))[0]?.end ?? 0n;
};

/**
 * The index of the first entry of this time or later; of the next one if there is none. Times never decrease with the index, so they
 * need no index of their own: the place is found by halving. What was removed is older than what is there.
 */
export const selectIndexAt = async (db: Queryable, time: Date): Promise<bigint> => {
  const text = `with recursive halving (low, high) as (
      select 0::bigint, (select coalesce(max(index) + 1, 0) from entries)
    union all
      select case when later then low else middle + 1 end, case when later then middle else high end
      from (
        select low, high, middle, coalesce((select e.record_time >= $1 from entries e where e.index = middle), false) as later
        from (select low, high, (low + high) / 2 as middle from halving where low < high) as halves
      ) as looked
    )
    select low from halving where low = high`;
  return (await db.query<{ low: bigint }>({ name: 'audit.selectIndexAt', text, values: [time] }))[0]?.low ?? 0n;
};

export interface Count {
  action: string;
  outcome: Event_Outcome;
  count: bigint;
  first_time: Date;
  last_time: Date;
}

/** Of the newest entries in a range, so many at most. */
export const countEntries = (db: Queryable, instances: readonly string[] | undefined, range: Range, most: number): Promise<Count[]> =>
  db.query<Count>(
    statementOf(
      { ...NOTHING, instances },
      range,
      most,
      (where) => `select action, outcome, count(*), min(record_time) as first_time, max(record_time) as last_time
        from (select action, outcome, record_time from entries where ${where} order by index desc limit $3) as newest
        group by action, outcome order by action, outcome`,
    ),
  );

/** An entry with the columns that it is found by. */
export interface FoundRow {
  index: bigint;
  source: string;
  record_time: Date;
  leaf: Buffer;
  leaf_hash: Buffer;
  action: string;
  principal: string;
  on_behalf_of: string;
  resource: string;
  correlation_id: string;
  instance_uid: string | null;
  outcome: Event_Outcome;
  severity: Event_Severity;
}

export const selectFound = (db: Queryable, from: bigint, end: bigint): Promise<FoundRow[]> => {
  const text = `select index, source, record_time, leaf, leaf_hash, action, principal, on_behalf_of, resource, correlation_id, instance_uid,
    outcome, severity from entries where index >= $1 and index < $2 order by index`;
  return db.query<FoundRow>({ name: 'audit.selectFound', text, values: [from, end] });
};
