// Table `grants`.
import type { Queryable } from '../../kernel/db.ts';
import type { ROLES } from '../access.ts';

export type GrantRole = (typeof ROLES)[number];

export interface GrantRow {
  grant_uid: string;
  principal: string;
  instance: string;
  target: string;
  role: GrantRole;
  created_by: string;
  create_time: Date;
}

const COLUMNS = 'grant_uid, principal, instance, target, role, created_by, create_time';

export const selectRolesOf = (db: Queryable, principal: string): Promise<Pick<GrantRow, 'target' | 'role'>[]> => {
  const text = 'select distinct target, role from grants where principal = $1';
  return db.query<Pick<GrantRow, 'target' | 'role'>>({ name: 'keys.selectRolesOf', text, values: [principal] });
};

/** What a service needs to register a scope for an instance under a root key, and to use it. */
export const hasUse = async (db: Queryable, principal: string, instance: string, targets: readonly string[]): Promise<boolean> => {
  const text = `select from grants where principal = $1 and role = 'READER' and instance in ($2, 'instances/-') and target = any($3) limit 1`;
  return (await db.query({ name: 'keys.hasUse', text, values: [principal, instance, targets] })).length === 1;
};

export const selectGrant = async (db: Queryable, grantUid: string): Promise<GrantRow | undefined> => {
  const text = `select ${COLUMNS} from grants where grant_uid = $1`;
  return (await db.query<GrantRow>({ name: 'keys.selectGrant', text, values: [grantUid] }))[0];
};

/** Undefined if it was there. */
export const insertGrant = async (tx: Queryable, g: Omit<GrantRow, 'create_time'>): Promise<GrantRow | undefined> => {
  const text = `insert into grants (grant_uid, principal, instance, target, role, created_by) values ($1, $2, $3, $4, $5, $6)
    on conflict do nothing returning ${COLUMNS}`;
  const values = [g.grant_uid, g.principal, g.instance, g.target, g.role, g.created_by];
  return (await tx.query<GrantRow>({ name: 'keys.insertGrant', text, values }))[0];
};

export const selectEqualGrant = async (
  tx: Queryable,
  g: Pick<GrantRow, 'principal' | 'instance' | 'target' | 'role'>,
): Promise<GrantRow | undefined> => {
  const text = `select ${COLUMNS} from grants where principal = $1 and target = $2 and role = $3 and instance = $4`;
  return (await tx.query<GrantRow>({ name: 'keys.selectEqualGrant', text, values: [g.principal, g.target, g.role, g.instance] }))[0];
};

/** Answers what it was; undefined if there is none of this uid on this target. */
export const deleteGrant = async (tx: Queryable, grantUid: string, target: string): Promise<GrantRow | undefined> => {
  const text = `delete from grants where grant_uid = $1 and target = $2 returning ${COLUMNS}`;
  return (await tx.query<GrantRow>({ name: 'keys.deleteGrant', text, values: [grantUid, target] }))[0];
};

export const listGrants = (db: Queryable, target: string, after: string, limit: number): Promise<GrantRow[]> => {
  const text = `select ${COLUMNS} from grants where target = $1 and grant_uid > $2 order by grant_uid limit $3`;
  return db.query<GrantRow>({ name: 'keys.listGrants', text, values: [target, after, limit] });
};

export const listGrantsTo = (db: Queryable, principal: string, after: string, limit: number): Promise<GrantRow[]> => {
  const text = `select ${COLUMNS} from grants where principal = $1 and grant_uid > $2 order by grant_uid limit $3`;
  return db.query<GrantRow>({ name: 'keys.listGrantsTo', text, values: [principal, after, limit] });
};
