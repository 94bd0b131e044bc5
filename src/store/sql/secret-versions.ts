// Table `secret_versions`.
import type { Queryable } from '../../kernel/db.ts';
import { BACK } from '../aliases.ts';
import type { VersionPath } from '../names.ts';
import type { State, VersionState } from '../state.ts';
import type { Details, Kind } from '../types/type.ts';
import { secretExpired, versionExpired } from './version-locks.ts';

export interface VersionRow {
  version: number;
  state: VersionState;
  kind: Kind;
  size_bytes: number;
  client_specified_crc32c: boolean;
  /** The version that a rollback copied. */
  copied_from: number | null;
  revision: bigint;
  create_time: Date;
  destroy_time: Date | null;
  purge_time: Date | null;
  expire_time: Date | null;
  is_expired: boolean;
  details: Details | null;
}

const COLUMNS = `v.version, v.state, v.kind, v.size_bytes, v.client_specified_crc32c, v.copied_from, v.revision, v.create_time, v.destroy_time, v.purge_time,
  v.expire_time, ${versionExpired('v')} as is_expired, v.details`;

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
  client_specified_crc32c: boolean;
  details: Details | null;
  wrapped_dek: Buffer | null;
  /** Null also if the caller has it, or there is no room for it. */
  sealed: Buffer | null;
  /** Whether the time of the secret, or of the version, has passed; null if it has none. */
  is_secret_expired: boolean | null;
  is_expired: boolean | null;
  is_known: boolean;
}

/** A version that is asked for, and one that the caller has. */
export interface Asked {
  path: VersionPath;
  known: VersionKey | undefined;
}

export interface VersionKey {
  secretUid: string;
  version: number;
}

const STORED = `i.instance_uid, i.state as instance_state, g.group_uid, g.state as group_state, s.secret_uid, s.state as secret_state,
  v.version, v.state, v.kind, v.crc32c, v.client_specified_crc32c, v.details, v.wrapped_dek,
  ${secretExpired('s')} as is_secret_expired, ${versionExpired('v')} as is_expired`;

/** One of three: the number, how far to count back from the newest, or an alias of the secret's own. */
const whichOf = ({ version }: VersionPath): [number | null, number | null, string | null] => {
  if (typeof version === 'number') return [version, null, null];
  return Object.hasOwn(BACK, version) ? [null, BACK[version]!, null] : [null, null, version];
};

export const selectStored = async (db: Queryable, { path, known }: Asked): Promise<StoredVersion | undefined> => {
  const text = `select ${STORED}, k.is_known, case when not k.is_known then v.sealed end as sealed
    from instances i join secret_groups g using (instance_uid) join secrets s using (instance_uid, group_uid)
    left join secret_versions v on v.instance_uid = s.instance_uid and v.secret_uid = s.secret_uid
      and v.version = coalesce($4::int, s.latest_version - $5::int, (s.version_aliases ->> $6)::int)
    cross join lateral (select coalesce(s.secret_uid = $7::uuid and v.version = $8::int, false) as is_known) k
    where i.instance_id = $1 and g.group_id = $2 and s.secret_id = $3`;
  const values = [path.instance, path.group, path.secret, ...whichOf(path), known?.secretUid, known?.version];
  return (await db.query<StoredVersion>({ name: 'store.selectStored', text, values }))[0];
};

export interface StoredItem extends StoredVersion {
  /** Of what was asked for, from 1. */
  n: bigint;
  fits: boolean;
}

/**
 * The same for many, in no order; what is not there is left out. Each that can be opened counts its payload and `itemBytes`, any other
 * `itemBytes`, and none behind `maxBytes` is read. The limits inside keep the planner from turning the joins around.
 */
export const selectAllStored = (db: Queryable, asked: readonly Asked[], itemBytes: number, maxBytes: number): Promise<StoredItem[]> => {
  const text = `with found as (
    select a.n, ${STORED}, v.sealed, v.size_bytes, coalesce(v.is_known, false) as is_known
    from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], $6::text[], $7::uuid[], $8::int[]) with ordinality
      as a (instance_id, group_id, secret_id, number, back, alias, known_uid, known_version, n)
    join instances i using (instance_id)
    cross join lateral (select * from secret_groups where instance_uid = i.instance_uid and group_id = a.group_id limit 1) g
    cross join lateral (
      select * from secrets where instance_uid = i.instance_uid and group_uid = g.group_uid and secret_id = a.secret_id limit 1) s
    left join lateral (
      select *, secret_uid = a.known_uid and version = a.known_version as is_known from secret_versions
      where instance_uid = i.instance_uid and secret_uid = s.secret_uid and version = coalesce(a.number, s.latest_version - a.back, (s.version_aliases ->> a.alias)::int) limit 1) v on true),
  counted as (
    select *, sum($9::int + case when secret_state = 'ACTIVE' and state = 'ENABLED' and not is_known
        and is_secret_expired is not true and is_expired is not true then size_bytes else 0 end)
      over (order by n) <= $10::int as fits from found)
  select n, instance_uid, instance_state, group_uid, group_state, secret_uid, secret_state, version, state, kind, crc32c, client_specified_crc32c, details, wrapped_dek, is_secret_expired, is_expired,
    is_known, fits,
    case when fits and not is_known then sealed end as sealed from counted`;
  const values = [
    asked.map(({ path }) => path.instance),
    asked.map(({ path }) => path.group),
    asked.map(({ path }) => path.secret),
    ...[0, 1, 2].map((i) => asked.map(({ path }) => whichOf(path)[i])),
    asked.map(({ known }) => known?.secretUid),
    asked.map(({ known }) => known?.version),
    itemBytes,
    maxBytes,
  ];
  return db.query<StoredItem>({ name: 'store.selectAllStored', text, values });
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
  copiedFrom?: number;
  wrappedDek: Buffer;
  sealed: Buffer;
  expireTime: Date | null;
  details?: Details;
}

export const insertVersion = async (tx: Queryable, v: NewVersion): Promise<VersionRow> => {
  const text = `insert into secret_versions as v (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed,
      expire_time, details, copied_from)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) returning ${COLUMNS}`;
  const key = [v.instanceUid, v.secretUid, v.version, v.kind, v.sizeBytes, v.crc32c, v.clientSpecifiedCrc32c, v.wrappedDek, v.sealed];
  const values = [...key, v.expireTime, v.details, v.copiedFrom];
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
