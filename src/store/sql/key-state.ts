// What `instances` knows of root keys.
import type { Queryable } from '../../kernel/db.ts';
import type { KeyState } from '../key-state.ts';
import { CUSTOMERS } from './retention.ts';

/** One at a time learns how these keys are, until the end of the transaction: who writes last has asked last. */
export const lockKeyStates = async (tx: Queryable, rootKeys: readonly string[]): Promise<void> => {
  const text = `select pg_advisory_xact_lock(hashtext('strongroom.key-state'), number)
    from (select distinct hashtext(name) as number from unnest($1::text[]) name order by 1) keys`;
  await tx.query({ name: 'store.lockKeyStates', text, values: [rootKeys] });
};

export interface KeyUser {
  instance_uid: string;
  /** One of the instance's, which tells how the key is; null if it has none. */
  scope_uid: string | null;
}

export const selectKeyUsers = (tx: Queryable, rootKeys: readonly string[], after: string, limit: number): Promise<KeyUser[]> => {
  const text = `select i.instance_uid, case when ${CUSTOMERS} then i.instance_uid
      else (select g.group_uid from secret_groups g where g.instance_uid = i.instance_uid order by g.group_uid limit 1) end as scope_uid
    from instances i where i.root_key = any($1) and i.instance_uid > $2 order by i.instance_uid limit $3`;
  return tx.query<KeyUser>({ name: 'store.selectKeyUsers', text, values: [rootKeys, after, limit] });
};

export const setKeyStates = async (tx: Queryable, states: readonly { instanceUid: string; state: KeyState }[]): Promise<void> => {
  const text = `update instances i set key_state = now_is.state, key_state_time = now()
    from unnest($1::uuid[], $2::text[]) as now_is (instance_uid, state) where i.instance_uid = now_is.instance_uid and i.key_state <> now_is.state`;
  await tx.query({ name: 'store.setKeyStates', text, values: [states.map((s) => s.instanceUid), states.map((s) => s.state)] });
};

/** Customers' root keys, and those of the provider that are not as they should be, by name after this one. */
export const selectRootKeys = async (db: Queryable, after: string, limit: number): Promise<string[]> => {
  const text = `select distinct i.root_key from instances i where i.root_key > $1 and (${CUSTOMERS} or i.key_state <> 'ENABLED')
    order by i.root_key limit $2`;
  return (await db.query<{ root_key: string }>({ name: 'store.selectRootKeys', text, values: [after, limit] })).map((row) => row.root_key);
};
