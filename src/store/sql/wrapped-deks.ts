// The wrapped DEKs of a group, read in the order of its secrets and replaced one for one. Other columns of `secret_versions` stay
// as they are.
import type { Queryable } from '../../kernel/db.ts';
import { UNNAMED, walkIndexes } from './purge.ts';
import type { GroupKey, RekeyRow } from './rekeys.ts';

export interface WrappedDek {
  secret_uid: string;
  secret_id: string;
  version: number;
  /** Null where the payload is erased. */
  wrapped_dek: Buffer | null;
}

/** The next ones behind the cursor. The limit inside keeps the planner from turning the join around. */
export const selectWrappedDeks = async (tx: Queryable, r: RekeyRow, limit: number): Promise<WrappedDek[]> => {
  await walkIndexes(tx);
  const text = `select s.secret_uid, s.secret_id, v.version, v.wrapped_dek from secrets s cross join lateral (
      select version, wrapped_dek from secret_versions
      where instance_uid = $1 and secret_uid = s.secret_uid and version > case when s.secret_id = $3::text then $4::int else 0 end
      order by version limit $5) v
    where s.instance_uid = $1 and s.group_uid = $2 and s.secret_id >= $3 order by s.secret_id, v.version limit $5`;
  const values = [r.instance_uid, r.group_uid, r.secret_cursor, r.version_cursor, limit];
  return tx.query<WrappedDek>({ name: UNNAMED, text, values });
};

/** False if it is not in use. Else it stays so until the end of the transaction. */
export const holdInUse = async (tx: Queryable, { instance_uid, group_uid }: GroupKey): Promise<boolean> => {
  const text = `select g.group_uid from secret_groups g join instances i using (instance_uid)
    where g.instance_uid = $1 and g.group_uid = $2 and g.state = 'ACTIVE' and i.state = 'ACTIVE' for share of g, i`;
  return (await tx.query({ name: 'store.holdInUse', text, values: [instance_uid, group_uid] })).length === 1;
};

/** Of these, the secrets that are not being purged; none of them begins to be until the end of the transaction. */
export const holdSecrets = async (tx: Queryable, instanceUid: string, secretUids: readonly string[]): Promise<string[]> => {
  const text = `select secret_uid from secrets where instance_uid = $1 and secret_uid = any($2::uuid[]) and state <> 'PURGING'
    order by secret_uid for share`;
  const rows = await tx.query<{ secret_uid: string }>({ name: 'store.holdSecrets', text, values: [instanceUid, secretUids] });
  return rows.map((row) => row.secret_uid);
};

export interface Replacement {
  secretUid: string;
  version: number;
  from: Buffer;
  to: Buffer;
}

/** Those that are still what they were; answers how many. */
export const replaceWrappedDeks = async (tx: Queryable, instanceUid: string, all: readonly Replacement[]): Promise<number> => {
  const text = `update secret_versions v set wrapped_dek = r.fresh
    from unnest($2::uuid[], $3::int[], $4::bytea[], $5::bytea[]) as r (secret_uid, version, old, fresh)
    where v.instance_uid = $1 and v.secret_uid = r.secret_uid and v.version = r.version and v.wrapped_dek = r.old returning v.version`;
  const values = [instanceUid, all.map((r) => r.secretUid), all.map((r) => r.version), all.map((r) => r.from), all.map((r) => r.to)];
  return (await tx.query({ name: 'store.replaceWrappedDeks', text, values })).length;
};
