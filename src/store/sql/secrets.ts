// Table `secrets`, always with the states of the group and the instance above.
import type { Queryable, Transaction } from '../../kernel/db.ts';
import type { KeepPolicy } from '../keep-policy.ts';
import type { ResourcePath, SecretPath } from '../names.ts';
import type { Lifecycle, State } from '../state.ts';
import type { TypeName } from '../types/types.ts';
import { ROTATION_COLUMNS, type RotationRow } from './rotations.ts';
import { secretExpired } from './version-locks.ts';

/** What a secret is, and what becomes of its values by itself. */
interface Nature extends RotationRow {
  type: TypeName;
  expire_time: Date | null;
  is_expired: boolean;
  /** Numbers by alias. */
  version_aliases: Record<string, number>;
  keep_policy: KeepPolicy | null;
}
const NATURE = `s.version_aliases, s.keep_policy, s.type, s.expire_time, ${secretExpired('s')} as is_expired, ${ROTATION_COLUMNS}`;

export interface SecretRow extends Lifecycle, Nature {
  instance_uid: string;
  instance_id: string;
  instance_state: State;
  purge_protection: boolean;
  /** Of secrets. */
  retention_seconds: number;
  /** Of versions; 0 if they are destroyed at once. */
  version_retention_seconds: number;
  group_uid: string;
  group_id: string;
  group_state: State;
  /** Of the group's key. */
  key_version: number;
  secret_uid: string;
  secret_id: string;
  description: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  latest_version: number;
  group_keep_policy: KeepPolicy | null;
}

/** Of `s`: what is shown of a secret, but for its name. */
const OWN = `s.secret_uid, s.secret_id, s.state, s.description, s.labels, s.annotations, s.latest_version, s.revision, s.create_time, s.update_time,
  s.delete_time, s.purge_time, ${NATURE}`;
/** Of `i`, `g` and `s`. */
export const SHOWN = `i.instance_id, g.group_id, ${OWN}`;
const COLUMNS = `i.instance_uid, i.state as instance_state, i.purge_protection,
  coalesce(i.secret_retention_seconds, i.retention_seconds) as retention_seconds,
  coalesce(i.version_retention_seconds, 0) as version_retention_seconds, g.group_uid, g.state as group_state, g.key_version,
  g.keep_policy as group_keep_policy, ${SHOWN}`;
const FROM = `from secrets s join secret_groups g using (instance_uid, group_uid) join instances i using (instance_uid)`;
const BY_NAME = 'where i.instance_id = $1 and g.group_id = $2 and s.secret_id = $3';
const nameOf = (path: SecretPath) => [path.instance, path.group, path.secret];

export const selectSecret = async (db: Queryable, path: SecretPath): Promise<SecretRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} ${BY_NAME}`;
  return (await db.query<SecretRow>({ name: 'store.selectSecret', text, values: nameOf(path) }))[0];
};

/** The UID of the instance, if what the path names is there, in whatever state. */
export const selectInstanceWith = async (db: Queryable, path: ResourcePath): Promise<string | undefined> => {
  const text = `select i.instance_uid from instances i left join secret_groups g on g.instance_uid = i.instance_uid and g.group_id = $2
    left join secrets s on s.instance_uid = i.instance_uid and s.group_uid = g.group_uid and s.secret_id = $3
    where i.instance_id = $1 and ($2::text is null or g.group_uid is not null) and ($3::text is null or s.secret_uid is not null)`;
  const values = [path.instance, 'group' in path ? path.group : null, 'secret' in path ? path.secret : null];
  return (await db.query<{ instance_uid: string }>({ name: 'store.selectInstanceWith', text, values }))[0]?.instance_uid;
};

/** For a change of the secret or its versions: nothing above can be deleted or purged meanwhile. */
export const lockSecret = async (tx: Queryable, path: SecretPath): Promise<SecretRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} ${BY_NAME} for update of s for share of g, i`;
  return (await tx.query<SecretRow>({ name: 'store.lockSecret', text, values: nameOf(path) }))[0];
};

/** Likewise, one whose versions are to be looked at; not one that somebody else is changing. */
export const lockNextTrim = async (tx: Queryable): Promise<SecretRow | undefined> => {
  const text = `select ${COLUMNS} ${FROM} where s.trim_time <= now() order by s.trim_time limit 1 for update of s skip locked for share of g, i`;
  return (await tx.query<SecretRow>({ name: 'store.lockNextTrim', text }))[0];
};

export interface NewSecret {
  instanceUid: string;
  groupUid: string;
  secretUid: string;
  secretId: string;
  description: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  latestVersion: number;
  keepPolicy: KeepPolicy | null;
  type: TypeName;
  expireTime: Date | null;
}

type Made = Lifecycle & Nature & Pick<SecretRow, 'secret_uid' | 'secret_id' | 'description' | 'labels' | 'annotations' | 'latest_version'>;
/** With the names above it: what is shown of a secret. */
export type ShownSecret = Made & Pick<SecretRow, 'instance_id' | 'group_id'>;

/** Undefined if the ID is taken. */
export const insertSecret = async (tx: Queryable, s: NewSecret): Promise<Made | undefined> => {
  const text = `insert into secrets as s (instance_uid, secret_uid, group_uid, secret_id, description, labels, annotations, latest_version, keep_policy,
      type, expire_time)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict (instance_uid, group_uid, secret_id) do nothing
    returning ${OWN}`;
  const values = [
    s.instanceUid,
    s.secretUid,
    s.groupUid,
    s.secretId,
    s.description,
    s.labels,
    s.annotations,
    s.latestVersion,
    s.keepPolicy,
    s.type,
    s.expireTime,
  ];
  return (await tx.query<Made>({ name: 'store.insertSecret', text, values }))[0];
};

type Key = Pick<SecretRow, 'instance_uid' | 'secret_uid'>;

export const updateSecret = async (tx: Queryable, s: Key & Pick<SecretRow, 'description' | 'labels' | 'annotations'>): Promise<void> => {
  const text = `update secrets set description = $3, labels = $4, annotations = $5, revision = revision + 1, update_time = now()
    where instance_uid = $1 and secret_uid = $2`;
  await tx.query({ name: 'store.updateSecret', text, values: [s.instance_uid, s.secret_uid, s.description, s.labels, s.annotations] });
};

export const setLatestVersion = (tx: Transaction, s: Key, version: number): void => {
  const text = `update secrets set latest_version = $3, revision = revision + 1, update_time = now() where instance_uid = $1 and secret_uid = $2`;
  tx.send({ name: 'store.setLatestVersion', text, values: [s.instance_uid, s.secret_uid, version] });
};

export const setVersionAliases = async (tx: Queryable, s: Key & Pick<SecretRow, 'version_aliases'>): Promise<void> => {
  const text = `update secrets set version_aliases = $3, revision = revision + 1, update_time = now() where instance_uid = $1 and secret_uid = $2`;
  await tx.query({ name: 'store.setVersionAliases', text, values: [s.instance_uid, s.secret_uid, s.version_aliases] });
};

/** What expires is not kept for longer than that. */
export const markSecretDeleted = async (tx: Queryable, s: Key & Pick<SecretRow, 'retention_seconds'>): Promise<void> => {
  const text = `update secrets set state = 'DELETED', delete_time = now(), purge_time = least(now() + make_interval(secs => $3), expire_time),
    revision = revision + 1, update_time = now() where instance_uid = $1 and secret_uid = $2`;
  await tx.query({ name: 'store.markSecretDeleted', text, values: [s.instance_uid, s.secret_uid, s.retention_seconds] });
};

export const markSecretActive = async (tx: Queryable, s: Key): Promise<void> => {
  const text = `update secrets set state = 'ACTIVE', delete_time = null, purge_time = null, revision = revision + 1, update_time = now()
    where instance_uid = $1 and secret_uid = $2`;
  await tx.query({ name: 'store.markSecretActive', text, values: [s.instance_uid, s.secret_uid] });
};

/** Its purge falls due now. */
export const expediteSecret = async (tx: Queryable, s: Key): Promise<void> => {
  const text = `update secrets set purge_time = least(purge_time, now()), revision = revision + 1, update_time = now()
    where instance_uid = $1 and secret_uid = $2`;
  await tx.query({ name: 'store.expediteSecret', text, values: [s.instance_uid, s.secret_uid] });
};
