// What interrupted creates, old requests and old changes leave in the store's database.
import type { Queryable } from '../../kernel/db.ts';

/** One create that was interrupted, locked: it cannot be ended any more. Any one, so that none that fails stops the others. */
export const lockAbandoned = async (tx: Queryable): Promise<string | undefined> => {
  const text = `select key_resource from unfinished_creates where create_time < now() - interval '10 minutes'
    order by random() limit 1 for update skip locked`;
  return (await tx.query<{ key_resource: string }>({ name: 'leftovers.lockAbandoned', text }))[0]?.key_resource;
};

export const removeAbandoned = async (tx: Queryable, keyResource: string): Promise<void> => {
  const text = 'delete from unfinished_creates where key_resource = $1';
  await tx.query({ name: 'leftovers.removeAbandoned', text, values: [keyResource] });
};

/** Replies are kept for 24 hours; answers how many were removed. */
export const removeOldReplies = async (tx: Queryable, limit: number): Promise<number> => {
  const text = `delete from idempotency i using (
      select principal, method, request_id from idempotency where create_time < now() - interval '24 hours' order by create_time limit $1) old
    where i.principal = old.principal and i.method = old.method and i.request_id = old.request_id returning 1 as one`;
  return (await tx.query({ name: 'leftovers.removeOldReplies', text, values: [limit] })).length;
};

/** Changes are kept for 6 hours, for who watches and was away; answers how many were removed. */
export const removeOldChanges = async (tx: Queryable, limit: number): Promise<number> => {
  const text = `with oldest as (select id, create_time from changes order by id limit $1),
    gone as (delete from changes where id in (select id from oldest where create_time < now() - interval '6 hours') returning id),
    moved as (update changes_horizon set pruned_to = greatest(pruned_to, (select max(id) from gone)) where exists (select from gone))
    select count(*)::int as removed from gone`;
  return (await tx.query<{ removed: number }>({ name: 'leftovers.removeOldChanges', text, values: [limit] }))[0]!.removed;
};
