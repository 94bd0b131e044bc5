// Tables `changes` and `changes_horizon`: what triggers note of every change, for those who watch.
import type { Queryable } from '../../kernel/db.ts';

export type ChangeKind =
  | 'VERSION_ADDED'
  | 'ROTATED'
  | 'VERSION_ENABLED'
  | 'VERSION_DISABLED'
  | 'VERSION_DESTROY_SCHEDULED'
  | 'VERSION_DESTROYED'
  | 'SECRET_CREATED'
  | 'SECRET_UPDATED'
  | 'SECRET_DELETED'
  | 'SECRET_UNDELETED'
  | 'SECRET_MOVED_AWAY'
  | 'SECRET_MOVED_HERE'
  | 'GROUP_DELETED'
  | 'GROUP_UNDELETED'
  | 'INSTANCE_DELETED'
  | 'INSTANCE_UNDELETED';

export interface ChangeRow {
  id: bigint;
  instance_uid: string;
  group_uid: string | null;
  secret_uid: string | null;
  secret_id: string | null;
  kind: ChangeKind;
  version: number | null;
  create_time: Date;
}

const COLUMNS = 'c.id, c.instance_uid, c.group_uid, c.secret_uid, c.secret_id, c.kind, c.version, c.create_time';

/** Of the moment of a look: transactions by number, and up to where the feed was pruned. */
export interface Snapshot {
  /** All transactions below have ended. */
  ended: bigint;
  /** No transaction from here on had begun before this look; null unless it was asked for. */
  next: bigint | null;
  pruned_to: bigint;
}

/** The highest number there is. */
export const selectHead = async (db: Queryable): Promise<{ head: bigint; pruned_to: bigint }> => {
  const text = 'select pruned_to, greatest(pruned_to, (select max(id) from changes)) as head from changes_horizon';
  return (await db.query<{ head: bigint; pruned_to: bigint }>({ name: 'store.selectHead', text }))[0]!;
};

export interface Look {
  snapshot: Snapshot;
  rows: ChangeRow[];
}

/** Those of `missing` that have appeared, and the next ones after `after`, in order and in one snapshot. */
export const selectChanges = async (
  db: Queryable,
  { after, missing, withNext }: { after: bigint; missing: readonly bigint[]; withNext: boolean },
  limit: number,
): Promise<Look> => {
  // A number of its own is the only one that is above all that were given: xmax is above those that have ended.
  const text = `select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as ended, case when $4 then pg_current_xact_id()::text::bigint end as next,
      h.pruned_to, ${COLUMNS}
    from changes_horizon h left join lateral (
      (select * from changes where id = any($2::bigint[])) union all (select * from changes where id > $1 order by id limit $3)) c on true
    order by c.id`;
  const rows = await db.query<Snapshot & ChangeRow>({ name: 'store.selectChanges', text, values: [after, missing, limit, withNext] });
  const { ended, next, pruned_to } = rows[0]!;
  return { snapshot: { ended, next, pruned_to }, rows: rows.filter((row) => row.id !== null) };
};

export interface Watched {
  instance_uid: string;
  group_uid: string;
}

/** Of a group, and of the instance around it. */
export const selectChangesOf = (
  db: Queryable,
  { instance_uid, group_uid }: Watched,
  secretIds: readonly string[] | null,
  after: bigint,
  limit: number,
): Promise<ChangeRow[]> => {
  const text = `select ${COLUMNS} from (
      (select * from changes where instance_uid = $1 and group_uid = $2 and id > $4 and ($3::text[] is null or secret_id is null or secret_id = any($3))
        order by id limit $5)
      union all (select * from changes where instance_uid = $1 and group_uid is null and id > $4 order by id limit $5)) c
    order by c.id limit $5`;
  return db.query<ChangeRow>({ name: 'store.selectChangesOf', text, values: [instance_uid, group_uid, secretIds, after, limit] });
};
