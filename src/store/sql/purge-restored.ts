// What a restored database of the store still has, although its keys are gone: found group by group, and given a purge.
import type { Queryable } from '../../kernel/db.ts';

export interface GroupKey {
  instance_uid: string;
  group_uid: string;
}

/** In the order of their uids, after this one; none that a purge is at work on. */
export const selectGroups = (db: Queryable, after: GroupKey, limit: number): Promise<(GroupKey & { root_key: string })[]> => {
  const text = `select g.instance_uid, g.group_uid, i.root_key from secret_groups g join instances i using (instance_uid)
    where (g.instance_uid, g.group_uid) > ($1::uuid, $2::uuid) and g.state <> 'PURGING' and i.state <> 'PURGING'
    order by g.instance_uid, g.group_uid limit $3`;
  return db.query({ name: 'restored.selectGroups', text, values: [after.instance_uid, after.group_uid, limit] });
};

type Kind = 'INSTANCE' | 'GROUP';

const LOCK: Record<Kind, string> = {
  INSTANCE: `select 'instances/' || instance_id as name, state = 'PURGING' as begun from instances where instance_uid = $1 and $2::uuid is null for update`,
  GROUP: `select 'instances/' || i.instance_id || '/groups/' || g.group_id as name, 'PURGING' in (g.state, i.state) as begun
    from secret_groups g join instances i using (instance_uid) where g.instance_uid = $1 and g.group_uid = $2 for update of g for share of i`,
};
const MARK: Record<Kind, string> = {
  INSTANCE: `update instances set state = 'DELETED', delete_time = coalesce(delete_time, now()), purge_time = now(), revision = revision + 1,
    update_time = now() where instance_uid = $1 and $2::uuid is null`,
  GROUP: `update secret_groups set state = 'DELETED', delete_time = coalesce(delete_time, now()), purge_time = now(), revision = revision + 1,
    update_time = now() where instance_uid = $1 and group_uid = $2`,
};

/**
 * A purge that is due now, as if the resource had just been deleted. Answers the resource's name; undefined if there is
 * nothing to do, because one is due or under way already.
 */
export const scheduleLost = async (
  tx: Queryable,
  kind: Kind,
  instanceUid: string,
  groupUid: string | null,
  deletedBy: string,
): Promise<string | undefined> => {
  const place = [instanceUid, groupUid];
  const [locked] = await tx.query<{ name: string; begun: boolean }>({ name: `restored.lock.${kind}`, text: LOCK[kind], values: place });
  if (!locked || locked.begun) return undefined;
  const text = 'select schedule_restored(coalesce($2::uuid, $1::uuid), $3, $1::uuid, $2::uuid, $4, $5) as done';
  const values = [...place, kind, locked.name, deletedBy];
  const [scheduled] = await tx.query<{ done: boolean }>({ name: 'restored.schedule', text, values });
  if (!scheduled?.done) return undefined;
  await tx.query({ name: `restored.mark.${kind}`, text: MARK[kind], values: place });
  return locked.name;
};
