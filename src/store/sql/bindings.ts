// Tables `bindings` and `bindings_epoch`.
import type { Queryable } from '../../kernel/db.ts';
import type { Role } from '../access.ts';

export interface BindingRow {
  principal: string;
  scope: string;
  role: Role;
  create_time: Date;
}

export const selectBindingsOf = (db: Queryable, principal: string): Promise<BindingRow[]> =>
  db.query<BindingRow>({
    name: 'store.selectBindingsOf',
    text: 'select principal, scope, role, create_time from bindings where principal = $1',
    values: [principal],
  });

export const selectEpoch = async (db: Queryable): Promise<bigint> =>
  (await db.query<{ epoch: bigint }>({ name: 'store.selectEpoch', text: 'select epoch from bindings_epoch' }))[0]?.epoch ?? 0n;

/** All that is cached under it ends: bindings, and what is known of instances. */
export const raiseEpoch = (tx: Queryable) => tx.query({ name: 'store.raiseEpoch', text: 'update bindings_epoch set epoch = epoch + 1' });

/** Returns the binding, also if it was there. */
export const insertBinding = async (tx: Queryable, b: Omit<BindingRow, 'create_time'>): Promise<BindingRow> => {
  const text = `insert into bindings (principal, scope, role) values ($1, $2, $3)
    on conflict (principal, scope, role) do update set role = excluded.role returning principal, scope, role, create_time`;
  const [row] = await tx.query<BindingRow>({ name: 'store.insertBinding', text, values: [b.principal, b.scope, b.role] });
  await raiseEpoch(tx);
  return row!;
};

/** False if there was none. */
export const deleteBinding = async (tx: Queryable, b: Omit<BindingRow, 'create_time'>): Promise<boolean> => {
  const text = 'delete from bindings where principal = $1 and scope = $2 and role = $3 returning principal';
  const rows = await tx.query({ name: 'store.deleteBinding', text, values: [b.principal, b.scope, b.role] });
  await raiseEpoch(tx);
  return rows.length === 1;
};

export const hasManager = async (tx: Queryable, scope: string): Promise<boolean> => {
  const text = `select 1 as one from bindings where scope = $1 and role = 'MANAGER' limit 1`;
  return (await tx.query({ name: 'store.hasManager', text, values: [scope] })).length > 0;
};

interface Holders {
  scopes: readonly string[];
  roles: readonly Role[];
  after: { principal: string; scope: string; role: string };
  limit: number;
}

/** Those with one of the roles on one of the scopes, by principal. */
export const listHolders = (db: Queryable, { scopes, roles, after, limit }: Holders): Promise<BindingRow[]> => {
  const text = `select principal, scope, role, create_time from bindings where scope = any($1) and role = any($2)
    and (principal, scope, role) > ($3, $4, $5) order by principal, scope, role limit $6`;
  const values = [scopes, roles, after.principal, after.scope, after.role, limit];
  return db.query<BindingRow>({ name: 'store.listHolders', text, values });
};

export const listBindings = (
  db: Queryable,
  scope: string,
  after: { principal: string; role: string },
  limit: number,
): Promise<BindingRow[]> => {
  const text = `select principal, scope, role, create_time from bindings where scope = $1 and (principal, role) > ($2, $3)
    order by principal, role limit $4`;
  return db.query<BindingRow>({ name: 'store.listBindings', text, values: [scope, after.principal, after.role, limit] });
};
