// Lists of secrets: of some groups, filtered, in one of several orders, in pages that each begin where the index has the last one's end.
import type { Queryable } from '../../kernel/db.ts';
import type { Filter } from '../filter.ts';
import type { Order } from '../listing.ts';
import { SHOWN, type ShownSecret } from './secrets.ts';

/** The first is the group's ID, or the time; the second the secret's ID, or its uid. */
export type Cursor = readonly [string, string];

/** SQL: longer than an ID can be. */
const AFTER_ALL = `repeat('z', 64)`;

export interface ListedSecret extends ShownSecret {
  /** With all its digits, of the time that the list is ordered by; none by name. */
  cursor_time?: string;
}

export interface SecretList {
  readonly instanceUid: string;
  /** IDs; null for all. */
  readonly groups: readonly string[] | null;
  readonly showDeleted: boolean;
  readonly filter: Filter | undefined;
  readonly order: Order;
}

/** SQL and values of a filter on `secrets`; no text of the caller's gets into the SQL. */
const conditionOf = (filter: Filter, parameter: (value: unknown) => string): string => {
  if (filter.is === 'and' || filter.is === 'or') return `(${filter.of.map((one) => conditionOf(one, parameter)).join(` ${filter.is} `)})`;
  if (filter.is === 'not') return `not ${conditionOf(filter.of, parameter)}`;
  if (filter.is === 'time') return `(${filter.field} ${filter.comparator} ${parameter(filter.value.toISOString())}::timestamptz)`;
  if (filter.is === 'text')
    return filter.isPrefix ? `starts_with(${filter.field}, ${parameter(filter.value)})` : `(${filter.field} = ${parameter(filter.value)})`;
  return filter.value === undefined
    ? `(labels ? ${parameter(filter.key)})`
    : `(labels @> jsonb_build_object(${parameter(filter.key)}::text, ${parameter(filter.value)}::text))`;
};

export const listSecrets = (db: Queryable, list: SecretList, after: Cursor | undefined, limit: number): Promise<ListedSecret[]> => {
  const { instanceUid, groups, showDeleted, filter, order } = list;
  const values: unknown[] = [instanceUid, groups, showDeleted, limit];
  const parameter = (value: unknown): string => `$${values.push(value)}`;
  const [beyond, direction] = order.isDescending ? ['<', 'desc'] : ['>', 'asc'];
  const isByName = order.by === 'secret_id';
  const [first, second] = after ? [parameter(after[0]), parameter(after[1])] : [];
  // By name the groups come one after the other, and only the first of them begins in its middle.
  const fromGroup = after && isByName ? `and g.group_id ${beyond}= ${first}` : '';
  const fromSecret = !after
    ? ''
    : isByName
      ? `and secret_id ${beyond} case when g.group_id = ${first} then ${second} else ${order.isDescending ? AFTER_ALL : `''`} end`
      : `and (${order.by}, secret_uid) ${beyond} (${first}::timestamptz, ${second}::uuid)`;
  const keys = isByName ? ['g.group_id', 's.secret_id'] : [`s.${order.by}`, 's.secret_uid'];
  const [inner, outer] = [isByName ? ['secret_id'] : [order.by, 'secret_uid'], keys].map((by) =>
    by.map((key) => `${key} ${direction}`).join(', '),
  );
  const text = `select ${SHOWN}${isByName ? '' : `, s.${order.by}::text as cursor_time`}
    from secret_groups g join instances i using (instance_uid) cross join lateral (
      select * from secrets where instance_uid = g.instance_uid and group_uid = g.group_uid and (state = 'ACTIVE' or $3) ${fromSecret}
        ${filter ? `and ${conditionOf(filter, parameter)}` : ''}
      order by ${inner} limit $4) s
    where g.instance_uid = $1 and g.state = 'ACTIVE' and ($2::text[] is null or g.group_id = any($2)) ${fromGroup}
    order by ${outer} limit $4`;
  // Of filters there are too many to prepare each.
  const name = filter ? '' : `store.listSecrets.${order.by}.${direction}.${after ? 'on' : 'first'}`;
  return db.query<ListedSecret>({ name, text, values });
};
