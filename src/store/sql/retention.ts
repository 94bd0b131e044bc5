// Table `unsettled_retention`, and which scopes the holds want retained: only under customers' root keys, since nobody deletes a
// provider's by hand. Under them an instance has a scope of its own, with its uid, besides those of its groups.
import type { Queryable } from '../../kernel/db.ts';
import { inLine, type Place } from './place.ts';

/** SQL: whether the instance `i` is under a customer's root key. */
export const CUSTOMERS = `i.root_key not like 'keyRings/provider/%'`;

export interface Unsettled {
  instanceUid: string;
  tokens: string[];
}

/** Undefined if there is nothing to retain: under a provider's root key; with `ifHeld`, also without a hold on the whole instance. */
export const addUnsettled = async (tx: Queryable, instanceUid: string, { ifHeld = false } = {}): Promise<Unsettled | undefined> => {
  const text = `insert into unsettled_retention (instance_uid) select i.instance_uid from instances i where i.instance_uid = $1 and ${CUSTOMERS}
      and (not $2 or exists (select from holds h where h.instance_uid = i.instance_uid and h.group_uid is null)) returning token`;
  const [row] = await tx.query<{ token: string }>({ name: 'store.addUnsettled', text, values: [instanceUid, ifHeld] });
  return row && { instanceUid, tokens: [row.token] };
};

export const removeUnsettled = async (tx: Queryable, tokens: readonly string[]): Promise<void> => {
  await tx.query({
    name: 'store.removeUnsettled',
    text: 'delete from unsettled_retention where token = any($1::uuid[])',
    values: [tokens],
  });
};

/** Those that nobody is at any more. */
export const selectUnsettled = (db: Queryable, limit: number): Promise<Unsettled[]> => {
  const text = `select instance_uid as "instanceUid", array_agg(token) as tokens from unsettled_retention
    where create_time < now() - interval '30 seconds' group by instance_uid order by min(create_time) limit $1`;
  return db.query<Unsettled>({ name: 'store.selectUnsettled', text, values: [limit] });
};

/** What a restore of the key service's database may have changed behind our back: where there are holds, and where keys are being destroyed. */
export const suspectAll = async (tx: Queryable): Promise<void> => {
  const text = `insert into unsettled_retention (instance_uid, create_time)
    select instance_uid, '-infinity' from (
      select h.instance_uid from holds h join instances i using (instance_uid) where ${CUSTOMERS}
      union select p.instance_uid from purges p left join instances i using (instance_uid)
        where p.state in ('DESTROYING_KEYS', 'FINISHING') and coalesce(p.root_key, i.root_key) not like 'keyRings/provider/%') suspects
    where not exists (select from unsettled_retention u where u.instance_uid = suspects.instance_uid)`;
  await tx.query({ name: 'store.suspectAll', text });
};

/** One at a time changes what of an instance is retained, until the end of the transaction. */
export const lockRetention = async (tx: Queryable, instanceUid: string): Promise<void> => {
  const text = `select pg_advisory_xact_lock(hashtext('strongroom.retention'), hashtext($1))`;
  await tx.query({ name: 'store.lockRetention', text, values: [instanceUid] });
};

/** Scopes that a hold at this place retains; not those that a purge is at, which has no way back. */
export const selectHeldScopes = async (tx: Queryable, { instance_uid, group_uid }: Place): Promise<string[]> => {
  const text = `select $1::uuid as scope_uid
    union all select group_uid from secret_groups where instance_uid = $1 and state <> 'PURGING' and ($2::uuid is null or group_uid = $2)`;
  const rows = await tx.query<{ scope_uid: string }>({ name: 'store.selectHeldScopes', text, values: [instance_uid, group_uid] });
  return rows.map((row) => row.scope_uid);
};

export interface WantedScope {
  scopeUid: string;
  retained: boolean;
}

/** How all scopes of an instance are to be, also of one that is gone. */
export const selectWantedScopes = (tx: Queryable, instanceUid: string): Promise<WantedScope[]> => {
  const text = `select $1::uuid as "scopeUid", exists (select from holds where instance_uid = $1) as retained
    union all select g.group_uid, g.state <> 'PURGING' and exists (
      select from holds h where ${inLine('h', 'g.instance_uid', 'g.group_uid', 'null::uuid')}) from secret_groups g where g.instance_uid = $1`;
  return tx.query<WantedScope>({ name: 'store.selectWantedScopes', text, values: [instanceUid] });
};
