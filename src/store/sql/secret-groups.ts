// Table `secret_groups`, always with the state of the instance above.
import type { Queryable } from '../../kernel/db.ts';
import type { KeepPolicy } from '../keep-policy.ts';
import type { GroupPath } from '../names.ts';
import type { Lifecycle, State } from '../state.ts';

export interface GroupRow extends Lifecycle {
  instance_uid: string;
  instance_id: string;
  instance_state: State;
  purge_protection: boolean;
  /** Of groups. */
  retention_seconds: number;
  group_uid: string;
  group_id: string;
  display_name: string;
  labels: Record<string, string>;
  keep_policy: KeepPolicy | null;
  /** Of the group's key: nothing that an older one has wrapped is taken. */
  key_version: number;
}

const COLUMNS = `i.instance_uid, i.instance_id, i.state as instance_state, i.purge_protection,
  coalesce(i.group_retention_seconds, i.retention_seconds) as retention_seconds, g.group_uid, g.group_id, g.state, g.display_name, g.labels, g.keep_policy, g.key_version,
  g.revision, g.create_time, g.update_time, g.delete_time, g.purge_time`;
const FROM = 'from secret_groups g join instances i using (instance_uid)';

export const selectGroup = async (db: Queryable, path: GroupPath): Promise<GroupRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} where i.instance_id = $1 and g.group_id = $2`;
  return (await db.query<GroupRow>({ name: 'store.selectGroup', text, values: [path.instance, path.group] }))[0];
};

/** For a change of the group itself. */
export const lockGroup = async (tx: Queryable, path: GroupPath): Promise<GroupRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} where i.instance_id = $1 and g.group_id = $2 for update of g for share of i`;
  return (await tx.query<GroupRow>({ name: 'store.lockGroup', text, values: [path.instance, path.group] }))[0];
};

/** For a change below the group: neither it nor its instance can be deleted or purged meanwhile. */
export const holdGroup = async (tx: Queryable, path: GroupPath): Promise<GroupRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} where i.instance_id = $1 and g.group_id = $2 for share of g, i`;
  return (await tx.query<GroupRow>({ name: 'store.holdGroup', text, values: [path.instance, path.group] }))[0];
};

interface Page {
  instanceUid: string;
  after: string;
  limit: number;
  showDeleted: boolean;
  /** IDs; all if absent. */
  only: string[] | undefined;
}

export const listGroups = (db: Queryable, page: Page): Promise<GroupRow[]> => {
  const text = `select ${COLUMNS} ${FROM} where g.instance_uid = $1 and g.group_id > $2 and (g.state = 'ACTIVE' or $4)
    and ($5::text[] is null or g.group_id = any($5)) order by g.group_id limit $3`;
  const values = [page.instanceUid, page.after, page.limit, page.showDeleted, page.only ?? null];
  return db.query<GroupRow>({ name: 'store.listGroups', text, values });
};

export interface NewGroup {
  instanceUid: string;
  groupUid: string;
  groupId: string;
  displayName: string;
  labels: Record<string, string>;
  keepPolicy: KeepPolicy | null;
}

/** False if the ID is taken. */
export const insertGroup = async (tx: Queryable, g: NewGroup): Promise<boolean> => {
  const text = `insert into secret_groups (instance_uid, group_uid, group_id, display_name, labels, keep_policy) values ($1, $2, $3, $4, $5, $6)
    on conflict (instance_uid, group_id) do nothing returning group_uid`;
  const values = [g.instanceUid, g.groupUid, g.groupId, g.displayName, g.labels, g.keepPolicy];
  return (await tx.query({ name: 'store.insertGroup', text, values })).length === 1;
};

type Key = Pick<GroupRow, 'instance_uid' | 'group_uid'>;

export const updateGroup = async (tx: Queryable, g: Key & Pick<GroupRow, 'display_name' | 'labels' | 'keep_policy'>): Promise<void> => {
  const text = `update secret_groups set display_name = $3, labels = $4, keep_policy = $5, revision = revision + 1, update_time = now()
    where instance_uid = $1 and group_uid = $2`;
  await tx.query({ name: 'store.updateGroup', text, values: [g.instance_uid, g.group_uid, g.display_name, g.labels, g.keep_policy] });
};

export const markGroupDeleted = async (tx: Queryable, g: Key & Pick<GroupRow, 'retention_seconds'>): Promise<void> => {
  const text = `update secret_groups set state = 'DELETED', delete_time = now(), purge_time = now() + make_interval(secs => $3),
    revision = revision + 1, update_time = now() where instance_uid = $1 and group_uid = $2`;
  await tx.query({ name: 'store.markGroupDeleted', text, values: [g.instance_uid, g.group_uid, g.retention_seconds] });
};

export const markGroupActive = async (tx: Queryable, g: Key): Promise<void> => {
  const text = `update secret_groups set state = 'ACTIVE', delete_time = null, purge_time = null, revision = revision + 1, update_time = now()
    where instance_uid = $1 and group_uid = $2`;
  await tx.query({ name: 'store.markGroupActive', text, values: [g.instance_uid, g.group_uid] });
};

/** Its purge falls due now. */
export const expediteGroup = async (tx: Queryable, g: Key): Promise<void> => {
  const text = `update secret_groups set purge_time = least(purge_time, now()), revision = revision + 1, update_time = now()
    where instance_uid = $1 and group_uid = $2`;
  await tx.query({ name: 'store.expediteGroup', text, values: [g.instance_uid, g.group_uid] });
};
