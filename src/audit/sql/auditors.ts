// Tables `auditors` and `auditors_state`, and the entries that they are made from.
import type { Queryable } from '../../kernel/db.ts';

export interface BindingEntry {
  index: bigint;
  source: string;
  leaf: Buffer;
}

const UNFOLLOWED = `select e.index, e.source, e.leaf from auditors_state s join entries e on e.index >= s.next_index
  where e.action = any($1::text[]) and e.outcome = 1 order by e.index limit $2`;

/** Entries of these actions that have not been followed yet, oldest first. */
export const selectUnfollowed = (db: Queryable, actions: readonly string[], limit: number): Promise<BindingEntry[]> =>
  db.query<BindingEntry>({ name: 'audit.selectUnfollowed', text: UNFOLLOWED, values: [actions, limit] });

/** Whoever follows holds this row, so that replicas take turns. */
export const lockAuditors = (tx: Queryable) =>
  tx.query({ name: 'audit.lockAuditors', text: 'select next_index from auditors_state for update' });

export const setNextIndex = (tx: Queryable, next: bigint) =>
  tx.query({ name: 'audit.setNextIndex', text: 'update auditors_state set next_index = $1', values: [next] });

export const addAuditor = (tx: Queryable, principal: string, instanceUid: string) => {
  const text = 'insert into auditors (principal, instance_uid) values ($1, $2) on conflict do nothing';
  return tx.query({ name: 'audit.addAuditor', text, values: [principal, instanceUid] });
};

export const removeAuditor = (tx: Queryable, principal: string, instanceUid: string) => {
  const text = 'delete from auditors where principal = $1 and instance_uid = $2';
  return tx.query({ name: 'audit.removeAuditor', text, values: [principal, instanceUid] });
};

export const removeInstance = (tx: Queryable, instanceUid: string) =>
  tx.query({ name: 'audit.removeInstance', text: 'delete from auditors where instance_uid = $1', values: [instanceUid] });

export const selectInstancesOf = async (db: Queryable, principal: string): Promise<string[]> => {
  const text = 'select instance_uid from auditors where principal = $1 order by instance_uid';
  const rows = await db.query<{ instance_uid: string }>({ name: 'audit.selectInstancesOf', text, values: [principal] });
  return rows.map((row) => row.instance_uid);
};
