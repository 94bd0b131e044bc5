// Table `instances`.
import type { Queryable } from '../../kernel/db.ts';
import type { InstancePath } from '../names.ts';
import type { Lifecycle } from '../state.ts';

export interface InstanceRow extends Lifecycle {
  instance_uid: string;
  instance_id: string;
  display_name: string;
  labels: Record<string, string>;
  retention_seconds: number;
  root_key: string;
}

const COLUMNS = `instance_uid, instance_id, state, display_name, labels, retention_seconds, root_key, revision, create_time, update_time,
  delete_time, purge_time`;

export const selectInstance = async (db: Queryable, path: InstancePath): Promise<InstanceRow | undefined> => {
  const text = `select ${COLUMNS} from instances where instance_id = $1`;
  return (await db.query<InstanceRow>({ name: 'store.selectInstance', text, values: [path.instance] }))[0];
};

/** As `selectInstance`, and no other change until the transaction ends. */
export const lockInstance = async (tx: Queryable, path: InstancePath): Promise<InstanceRow | undefined> => {
  const text = `select ${COLUMNS} from instances where instance_id = $1 for update`;
  return (await tx.query<InstanceRow>({ name: 'store.lockInstance', text, values: [path.instance] }))[0];
};

/** For a change below the instance: it cannot be deleted or purged meanwhile. */
export const holdInstance = async (tx: Queryable, path: InstancePath): Promise<InstanceRow | undefined> => {
  const text = `select ${COLUMNS} from instances where instance_id = $1 for share`;
  return (await tx.query<InstanceRow>({ name: 'store.holdInstance', text, values: [path.instance] }))[0];
};

export const listInstances = (db: Queryable, after: string, limit: number, showDeleted: boolean): Promise<InstanceRow[]> => {
  const text = `select ${COLUMNS} from instances where instance_id > $1 and (state = 'ACTIVE' or $3) order by instance_id limit $2`;
  return db.query<InstanceRow>({ name: 'store.listInstances', text, values: [after, limit, showDeleted] });
};

export interface NewInstance {
  instanceUid: string;
  instanceId: string;
  displayName: string;
  labels: Record<string, string>;
  retentionSeconds: number;
  rootKey: string;
}

/** Undefined if the ID is taken. */
export const insertInstance = async (tx: Queryable, i: NewInstance): Promise<InstanceRow | undefined> => {
  const text = `insert into instances (instance_uid, instance_id, display_name, labels, retention_seconds, root_key)
    values ($1, $2, $3, $4, $5, $6) on conflict (instance_id) do nothing returning ${COLUMNS}`;
  const values = [i.instanceUid, i.instanceId, i.displayName, i.labels, i.retentionSeconds, i.rootKey];
  return (await tx.query<InstanceRow>({ name: 'store.insertInstance', text, values }))[0];
};

export const updateInstance = async (
  tx: Queryable,
  i: Pick<InstanceRow, 'instance_uid' | 'display_name' | 'labels' | 'retention_seconds'>,
) => {
  const text = `update instances set display_name = $2, labels = $3, retention_seconds = $4, revision = revision + 1, update_time = now()
    where instance_uid = $1 returning ${COLUMNS}`;
  const values = [i.instance_uid, i.display_name, i.labels, i.retention_seconds];
  return (await tx.query<InstanceRow>({ name: 'store.updateInstance', text, values }))[0]!;
};

export const markInstanceDeleted = async (tx: Queryable, instanceUid: string): Promise<InstanceRow> => {
  const text = `update instances set state = 'DELETED', delete_time = now(), purge_time = now() + make_interval(secs => retention_seconds),
    revision = revision + 1, update_time = now() where instance_uid = $1 returning ${COLUMNS}`;
  return (await tx.query<InstanceRow>({ name: 'store.markInstanceDeleted', text, values: [instanceUid] }))[0]!;
};

export const markInstanceActive = async (tx: Queryable, instanceUid: string): Promise<InstanceRow> => {
  const text = `update instances set state = 'ACTIVE', delete_time = null, purge_time = null, revision = revision + 1, update_time = now()
    where instance_uid = $1 returning ${COLUMNS}`;
  return (await tx.query<InstanceRow>({ name: 'store.markInstanceActive', text, values: [instanceUid] }))[0]!;
};
