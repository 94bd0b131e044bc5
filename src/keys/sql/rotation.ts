// Rotation of root keys: the moves of scopes to the primary version, in `root_keys` and `root_key_versions`.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyPath } from '../names.ts';
import type { KeyState } from '../state.ts';
import { EXPIRED, KEY_STATE } from './root-keys.ts';

/** Its scopes begin to move, and the time until the next rotation by policy begins anew. */
export const beginRotation = async (tx: Queryable, keyUid: string): Promise<void> => {
  const text = `update root_keys set rotation_time = now(), moved_time = null,
    next_rotation_time = now() + make_interval(secs => rotation_seconds * (1 - random() / 10)), revision = revision + 1, update_time = now()
    where key_uid = $1`;
  await tx.query({ name: 'keys.beginRotation', text, values: [keyUid] });
};

export const endRotation = async (tx: Queryable, keyUid: string): Promise<void> => {
  await tx.query({ name: 'keys.endRotation', text: 'update root_keys set moved_time = now() where key_uid = $1', values: [keyUid] });
};

export interface MovingKey {
  key_uid: string;
  key_ring: string;
  key_id: string;
  primary_version: number;
  primary_ref: Buffer;
}

const MAY_MOVE = `(${KEY_STATE}) in ('ENABLED', 'EXPIRED')`;

/** The root key whose rotation began first, and that may be used; neither it nor its scopes change until the end of the transaction. */
export const lockMovingKey = async (tx: Queryable): Promise<MovingKey | undefined> => {
  const text = `select k.key_uid, k.key_ring, k.key_id, k.primary_version, v.ref as primary_ref
    from root_keys k join root_key_versions v on v.key_uid = k.key_uid and v.version = k.primary_version
    where k.rotation_time is not null and k.moved_time is null and ${MAY_MOVE} and v.ref is not null and not ${EXPIRED}
    order by k.rotation_time limit 1 for update of k, v`;
  return (await tx.query<MovingKey>({ name: 'keys.lockMovingKey', text }))[0];
};

/** The first version from this one on, but for the primary one, under which scopes are left. */
export const selectVersionToLeave = async (
  tx: Queryable,
  { key_uid, primary_version }: Pick<MovingKey, 'key_uid' | 'primary_version'>,
  from: number,
): Promise<{ version: number; ref: Buffer } | undefined> => {
  const text = `select v.version, v.ref from root_key_versions v where v.key_uid = $1 and v.version >= $3 and v.version <> $2 and v.ref is not null and not ${EXPIRED}
    and exists (select from scope_versions s where s.key_uid = v.key_uid and s.key_version = v.version and s.wrapped_key is not null)
    order by v.version limit 1`;
  const values = [key_uid, primary_version, from];
  return (await tx.query<{ version: number; ref: Buffer }>({ name: 'keys.selectVersionToLeave', text, values }))[0];
};

/** Root keys whose policy says that it is time; each locked. */
export const lockDueRotation = async (tx: Queryable): Promise<RootKeyPath | undefined> => {
  const text = `select k.key_ring as "keyRing", k.key_id as key from root_keys k where k.next_rotation_time <= now() and ${MAY_MOVE}
    order by k.next_rotation_time limit 1 for update`;
  return (await tx.query<RootKeyPath>({ name: 'keys.lockDueRotation', text }))[0];
};

/** In milliseconds; null if none is planned. */
export const selectNextRotation = async (db: Queryable): Promise<number | null> => {
  const text = `select (extract(epoch from min(next_rotation_time) - now()) * 1000)::float8 as ms from root_keys k
    where next_rotation_time is not null and ${MAY_MOVE}`;
  return (await db.query<{ ms: number | null }>({ name: 'keys.selectNextRotation', text }))[0]?.ms ?? null;
};

export interface RotationRow {
  key_ring: string;
  key_id: string;
  state: KeyState;
  primary_version: number;
  rotation_time: Date | null;
  moved_time: Date | null;
  scope_count: bigint;
  moved_count: bigint;
}

export const selectRotation = async (db: Queryable, path: RootKeyPath): Promise<RotationRow | undefined> => {
  const text = `select k.key_ring, k.key_id, ${KEY_STATE} as state, k.primary_version, k.rotation_time, k.moved_time, n.scope_count, n.moved_count
    from key_names named join root_keys k using (key_uid),
    lateral (select count(*) as scope_count, count(*) filter (where not exists (select from scope_versions v
        where v.scope_uid = s.scope_uid and v.key_version <> k.primary_version and v.wrapped_key is not null)) as moved_count
      from scopes s where s.key_uid = k.key_uid and s.destroy_time is null) n
    where named.key_ring = $1 and named.name = $2`;
  return (await db.query<RotationRow>({ name: 'keys.selectRotation', text, values: [path.keyRing, path.key] }))[0];
};
