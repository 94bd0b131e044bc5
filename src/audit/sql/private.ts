// Table `private_fields`: values and keys that may be erased.
import type { Queryable } from '../../kernel/db.ts';

export interface FieldRow {
  index: bigint;
  field: string;
}

export const selectFields = (db: Queryable, indexes: readonly bigint[], fields: readonly string[]): Promise<FieldRow[]> => {
  const text = 'select index, field from private_fields where index = any($1::bigint[]) and field = any($2::text[]) order by index, field';
  return db.query<FieldRow>({ name: 'audit.selectFields', text, values: [indexes, fields] });
};

/** For good; answers what was there. */
export const deleteFields = (db: Queryable, indexes: readonly bigint[], fields: readonly string[]): Promise<FieldRow[]> => {
  const text = 'delete from private_fields where index = any($1::bigint[]) and field = any($2::text[]) returning index, field';
  return db.query<FieldRow>({ name: 'audit.deleteFields', text, values: [indexes, fields] });
};

export const selectOpenings = (
  db: Queryable,
  from: bigint,
  end: bigint,
): Promise<{ index: bigint; field: string; value: string; key: Buffer }[]> => {
  const text = 'select index, field, value, key from private_fields where index >= $1 and index < $2 order by index';
  return db.query({ name: 'audit.selectOpenings', text, values: [from, end] });
};

export interface Whose {
  /** Empty: of everybody. */
  principal: string;
  /** Empty: of every instance. */
  instanceUid: string;
}

/** Indexes of entries in [from, end) that have one of the fields, the lowest first. Without a name, as lists are. */
export const selectIndexesWith = async (
  db: Queryable,
  { principal, instanceUid }: Whose,
  fields: readonly string[],
  [from, end]: readonly [bigint, bigint],
  limit: number,
): Promise<bigint[]> => {
  const values: unknown[] = [from, end, fields, limit];
  const parameter = (value: string): string => `$${values.push(value)}`;
  const inInstance = instanceUid === '' ? '' : `and instance_uid = ${parameter(instanceUid)}`;
  const who = principal === '' ? '' : parameter(principal);
  const branch = (condition: string): string => `(select index from entries where index >= $1 and index < $2 ${inInstance} ${condition}
    and exists (select from private_fields p where p.index = entries.index and p.field = any($3::text[])) order by index limit $4)`;
  const branches = who === '' ? [branch('')] : [branch(`and principal = ${who}`), branch(`and on_behalf_of = ${who}`)];
  const text = `select index from (${branches.join(' union ')}) found order by index limit $4`;
  return (await db.query<{ index: bigint }>({ name: '', text, values })).map(({ index }) => index);
};
