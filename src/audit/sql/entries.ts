// Tables `entries` and `private_fields`, for readers.
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

export const selectEntry = async (db: Queryable, index: bigint): Promise<EntryRow | undefined> =>
  (await db.query<EntryRow>({ name: 'audit.selectEntry', text: `select ${COLUMNS} from entries where index = $1`, values: [index] }))[0];

export interface Filter {
  resource: string;
  correlationId: string;
  principal: string;
  action: string;
  minIndex: bigint;
}

/**
 * Newest first, below `before`. Without a name, so that it is planned for what it asks for each time: a plan for anything walks back through
 * all of the log for somebody who is not in it.
 */
export const listEntries = (db: Queryable, filter: Filter, before: bigint, limit: number): Promise<EntryRow[]> => {
  const values: unknown[] = [before, limit];
  const where = ['index < $1'];
  const add = (condition: (parameter: string) => string, value: string | bigint): void => {
    if (!value) return;
    values.push(value);
    where.push(condition(`$${values.length}`));
  };
  add((p) => `(resource = ${p} or (resource >= ${p} || '/' and resource < ${p} || '0'))`, filter.resource);
  add((p) => `correlation_id = ${p}`, filter.correlationId);
  add((p) => `(principal = ${p} or on_behalf_of = ${p})`, filter.principal);
  add((p) => `action = ${p}`, filter.action);
  add((p) => `index >= ${p}`, filter.minIndex);
  const text = `select ${COLUMNS} from entries where ${where.join(' and ')} order by index desc limit $2`;
  return db.query<EntryRow>({ name: '', text, values });
};

export const selectRecordTime = async (db: Queryable, index: bigint): Promise<Date | undefined> => {
  const text = 'select record_time from entries where index = $1';
  return (await db.query<{ record_time: Date }>({ name: 'audit.selectRecordTime', text, values: [index] }))[0]?.record_time;
};

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
}

export const selectFound = (db: Queryable, from: bigint, end: bigint): Promise<FoundRow[]> => {
  const text = `select index, source, record_time, leaf, leaf_hash, action, principal, on_behalf_of, resource, correlation_id, instance_uid
    from entries where index >= $1 and index < $2 order by index`;
  return db.query<FoundRow>({ name: 'audit.selectFound', text, values: [from, end] });
};
