// Table `secret_versions`.
import type { Queryable } from '../../kernel/db.ts';
import type { VersionPath } from '../names.ts';
import type { State, VersionState } from '../state.ts';
import type { Details, Kind } from '../types/type.ts';

export interface VersionRow {
  version: number;
  state: VersionState;
  kind: Kind;
  size_bytes: number;
  client_specified_crc32c: boolean;
  revision: bigint;
  create_time: Date;
  destroy_time: Date | null;
  purge_time: Date | null;
  expire_time: Date | null;
  is_expired: boolean;
  details: Details | null;
}

const COLUMNS = `v.version, v.state, v.kind, v.size_bytes, v.client_specified_crc32c, v.revision, v.create_time, v.destroy_time, v.purge_time,
  v.expire_time, coalesce(v.expire_time <= now(), false) as is_expired, v.details`;

/** A version with its ciphertext, and all that decides whether it may be opened: one statement on the hot path. */
export interface StoredVersion {
  instance_uid: string;
  instance_state: State;
  group_uid: string;
  group_state: State;
  secret_uid: string;
  secret_state: State;
  version: number | null;
  state: VersionState;
  kind: Kind;
  crc32c: bigint;
  wrapped_dek: Buffer | null;
  sealed: Buffer | null;
  /** Whether the time of the secret, or of the version, has passed; null if it has none. */
  is_secret_expired: boolean | null;
  is_expired: boolean | null;
}

export const selectStored = async (db: Queryable, path: VersionPath): Promise<StoredVersion | undefined> => {
  // $4 counts back from the newest version for an alias; $5 is the number otherwise.
  const text = `select i.instance_uid, i.state as instance_state, g.group_uid, g.state as group_state, s.secret_uid, s.state as secret_state,
      v.version, v.state, v.kind, v.crc32c, v.wrapped_dek, v.sealed,
      s.expire_time <= now() as is_secret_expired, v.expire_time <= now() as is_expired
    from instances i join secret_groups g using (instance_uid) join secrets s using (instance_uid, group_uid)
    left join secret_versions v on v.instance_uid = s.instance_uid and v.secret_uid = s.secret_uid
      and v.version = coalesce($5::int, s.latest_version - $4::int)
    where i.instance_id = $1 and g.group_id = $2 and s.secret_id = $3`;
  const values = [
    path.instance,
    path.group,
    path.secret,
    path.version === 'previous' ? 1 : 0,
    typeof path.version === 'number' ? path.version : null,
  ];
  return (await db.query<StoredVersion>({ name: 'store.selectStored', text, values }))[0];
};

interface Secret {
  instance_uid: string;
  secret_uid: string;
}

export const selectVersion = async (db: Queryable, secret: Secret, version: number): Promise<VersionRow | undefined> => {
  const text = `select ${COLUMNS} from secret_versions v where v.instance_uid = $1 and v.secret_uid = $2 and v.version = $3`;
  return (await db.query<VersionRow>({ name: 'store.selectVersion', text, values: [secret.instance_uid, secret.secret_uid, version] }))[0];
};

/** Newest first, below `before`. */
export const listVersions = (db: Queryable, secret: Secret, before: number, limit: number): Promise<VersionRow[]> => {
  const text = `select ${COLUMNS} from secret_versions v where v.instance_uid = $1 and v.secret_uid = $2 and v.version < $3
    order by v.version desc limit $4`;
  return db.query<VersionRow>({ name: 'store.listVersions', text, values: [secret.instance_uid, secret.secret_uid, before, limit] });
};

export interface NewVersion {
  instanceUid: string;
  secretUid: string;
  version: number;
  kind: Kind;
  sizeBytes: number;
  crc32c: number;
  clientSpecifiedCrc32c: boolean;
  wrappedDek: Buffer;
  sealed: Buffer;
  expireTime: Date | null;
  details?: Details;
}

export const insertVersion = async (tx: Queryable, v: NewVersion): Promise<VersionRow> => {
  const text = `insert into secret_versions as v (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed,
      expire_time, details)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) returning ${COLUMNS}`;
  const key = [v.instanceUid, v.secretUid, v.version, v.kind, v.sizeBytes, v.crc32c, v.clientSpecifiedCrc32c, v.wrappedDek, v.sealed];
  const values = [...key, v.expireTime, v.details];
  return (await tx.query<VersionRow>({ name: 'store.insertVersion', text, values }))[0]!;
};

const change = async (tx: Queryable, name: string, set: string, values: unknown[]): Promise<VersionRow> => {
  const text = `update secret_versions as v set ${set}, revision = revision + 1
    where v.instance_uid = $1 and v.secret_uid = $2 and v.version = $3 returning ${COLUMNS}`;
  return (await tx.query<VersionRow>({ name: `store.${name}`, text, values }))[0]!;
};
const keyOf = (secret: Secret, version: number) => [secret.instance_uid, secret.secret_uid, version];

/** Also of one whose destruction was scheduled, and is called off. */
export const setVersionState = (tx: Queryable, secret: Secret, version: number, state: 'ENABLED' | 'DISABLED'): Promise<VersionRow> =>
  change(tx, 'setVersionState', 'state = $4, purge_time = null', [...keyOf(secret, version), state]);

/** Erases ciphertext and wrapped DEK. */
export const destroyVersion = (tx: Queryable, secret: Secret, version: number): Promise<VersionRow> =>
  change(tx, 'destroyVersion', `state = 'DESTROYED', wrapped_dek = null, sealed = null, destroy_time = now()`, keyOf(secret, version));

/** What expires is not kept for longer than that. */
export const scheduleVersion = (tx: Queryable, secret: Secret, version: number, afterSeconds: number): Promise<VersionRow> =>
  change(tx, 'scheduleVersion', `state = 'DESTROY_SCHEDULED', purge_time = least(now() + make_interval(secs => $4), expire_time)`, [
    ...keyOf(secret, version),
    afterSeconds,
  ]);

/** Its purge falls due now. */
export const expediteVersion = (tx: Queryable, secret: Secret, version: number): Promise<VersionRow> =>
  change(tx, 'expediteVersion', 'purge_time = least(purge_time, now())', keyOf(secret, version));

export const setVersionExpiry = (tx: Queryable, secret: Secret, version: number, time: Date | null): Promise<VersionRow> =>
  change(tx, 'setVersionExpiry', 'expire_time = $4', [...keyOf(secret, version), time]);
