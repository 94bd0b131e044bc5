// Table `instances`.
import type { Queryable } from '../../kernel/db.ts';
import type { InstancePath } from '../names.ts';
import type { KeyState } from '../key-state.ts';
import type { Overrides } from '../limits.ts';
import type { Lifecycle } from '../state.ts';

export interface InstanceRow extends Lifecycle {
  instance_uid: string;
  instance_id: string;
  display_name: string;
  labels: Record<string, string>;
  retention_seconds: number;
  instance_retention_seconds: number | null;
  group_retention_seconds: number | null;
  secret_retention_seconds: number | null;
  version_retention_seconds: number | null;
  purge_protection: boolean;
  allowed_networks: string[];
  root_key: string;
  key_state: KeyState;
  key_state_time: Date;
}

const COLUMNS = `instance_uid, instance_id, state, display_name, labels, retention_seconds, instance_retention_seconds, group_retention_seconds,
  secret_retention_seconds, version_retention_seconds, purge_protection, allowed_networks, root_key, key_state, key_state_time, revision, create_time, update_time, delete_time, purge_time`;

export const selectInstance = async (db: Queryable, path: InstancePath): Promise<InstanceRow | undefined> => {
  const text = `select ${COLUMNS} from instances where instance_id = $1`;
  return (await db.query<InstanceRow>({ name: 'store.selectInstance', text, values: [path.instance] }))[0];
};

type Facts = Pick<InstanceRow, 'instance_uid' | 'allowed_networks'> & { limits: Overrides };

export const selectInstanceFacts = async (db: Queryable, instance: string): Promise<Facts | undefined> => {
  const text = 'select instance_uid, allowed_networks, limits from instances where instance_id = $1';
  return (await db.query<Facts>({ name: 'store.selectInstanceFacts', text, values: [instance] }))[0];
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

export const listInstances = (
  db: Queryable,
  after: string,
  limit: number,
  showDeleted: boolean,
  only?: string[],
): Promise<InstanceRow[]> => {
  const text = `select ${COLUMNS} from instances where instance_id > $1 and (state = 'ACTIVE' or $3)
    and ($4::text[] is null or instance_id = any($4)) order by instance_id limit $2`;
  return db.query<InstanceRow>({ name: 'store.listInstances', text, values: [after, limit, showDeleted, only ?? null] });
};

/** What its callers choose. */
export type Settings = Pick<
  InstanceRow,
  'display_name' | 'labels' | 'purge_protection' | 'allowed_networks' | `${'' | RetentionLevel}retention_seconds`
>;
type RetentionLevel = 'instance_' | 'group_' | 'secret_' | 'version_';

const valuesOf = (s: Settings) => [
  s.display_name,
  s.labels,
  s.retention_seconds,
  s.instance_retention_seconds,
  s.group_retention_seconds,
  s.secret_retention_seconds,
  s.version_retention_seconds,
  s.purge_protection,
  s.allowed_networks,
];

interface NewInstance extends Settings {
  instance_uid: string;
  instance_id: string;
  root_key: string;
  key_state: KeyState;
}

/** Undefined if the ID is taken. */
export const insertInstance = async (tx: Queryable, i: NewInstance): Promise<InstanceRow | undefined> => {
  const text = `insert into instances (instance_uid, instance_id, root_key, key_state, display_name, labels, retention_seconds, instance_retention_seconds,
      group_retention_seconds, secret_retention_seconds, version_retention_seconds, purge_protection, allowed_networks)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict (instance_id) do nothing returning ${COLUMNS}`;
  const values = [i.instance_uid, i.instance_id, i.root_key, i.key_state, ...valuesOf(i)];
  return (await tx.query<InstanceRow>({ name: 'store.insertInstance', text, values }))[0];
};

export const updateInstance = async (tx: Queryable, i: Settings & Pick<InstanceRow, 'instance_uid'>): Promise<InstanceRow> => {
  const text = `update instances set display_name = $2, labels = $3, retention_seconds = $4, instance_retention_seconds = $5,
      group_retention_seconds = $6, secret_retention_seconds = $7, version_retention_seconds = $8, purge_protection = $9,
      allowed_networks = $10, revision = revision + 1, update_time = now()
    where instance_uid = $1 returning ${COLUMNS}`;
  const values = [i.instance_uid, ...valuesOf(i)];
  return (await tx.query<InstanceRow>({ name: 'store.updateInstance', text, values }))[0]!;
};

export const markInstanceDeleted = async (tx: Queryable, instanceUid: string): Promise<InstanceRow> => {
  const text = `update instances set state = 'DELETED', delete_time = now(),
    purge_time = now() + make_interval(secs => coalesce(instance_retention_seconds, retention_seconds)), revision = revision + 1, update_time = now() where instance_uid = $1 returning ${COLUMNS}`;
  return (await tx.query<InstanceRow>({ name: 'store.markInstanceDeleted', text, values: [instanceUid] }))[0]!;
};

export const markInstanceActive = async (tx: Queryable, instanceUid: string): Promise<InstanceRow> => {
  const text = `update instances set state = 'ACTIVE', delete_time = null, purge_time = null, revision = revision + 1, update_time = now()
    where instance_uid = $1 returning ${COLUMNS}`;
  return (await tx.query<InstanceRow>({ name: 'store.markInstanceActive', text, values: [instanceUid] }))[0]!;
};

export const setInstanceLimits = async (tx: Queryable, instanceUid: string, limits: Overrides): Promise<void> => {
  const text = 'update instances set limits = $2 where instance_uid = $1';
  await tx.query({ name: 'store.setInstanceLimits', text, values: [instanceUid, limits] });
};

/** Its purge falls due now. */
export const expediteInstance = async (tx: Queryable, instanceUid: string): Promise<void> => {
  const text = `update instances set purge_time = least(purge_time, now()), revision = revision + 1, update_time = now() where instance_uid = $1`;
  await tx.query({ name: 'store.expediteInstance', text, values: [instanceUid] });
};
