// Table `key_events`, and whom an expiry was told.
import type { Queryable } from '../../kernel/db.ts';
import type { RootKeyPath } from '../names.ts';
import type { KeyState } from '../state.ts';
import { KEY_STATE } from './root-keys.ts';

export type KeyChange =
  | 'ENABLED'
  | 'DISABLED'
  | 'EXPIRED'
  | 'DELETE_SCHEDULED'
  | 'RESTORED'
  | 'DESTROYED'
  | 'ROTATED'
  | 'MATERIAL_EXPIRED'
  | 'MATERIAL_REIMPORTED'
  | 'GRANTED'
  | 'GRANT_REVOKED';

export interface KeyEventRow {
  event_uid: string;
  service: string;
  key_uid: string;
  key_ring: string;
  key_id: string;
  change: KeyChange;
  state: KeyState;
  instance: string;
  create_time: Date;
}

const COLUMNS = `e.event_uid, e.service, e.key_uid, k.key_ring, k.key_id, e.change, e.state, e.instance, e.create_time`;

/** One for each service that has scopes under the key. In the transaction of the change, after it, with the key's row held. */
export const addKeyEvents = async (tx: Queryable, keyUid: string, change: KeyChange): Promise<void> => {
  const text = `insert into key_events (service, key_uid, change, state)
    select distinct s.service, k.key_uid, $2, ${KEY_STATE} from root_keys k join scopes s using (key_uid)
    where k.key_uid = $1 and s.destroy_time is null and s.service <> ''`;
  await tx.query({ name: 'keys.addKeyEvents', text, values: [keyUid, change] });
};

interface GrantedUse {
  principal: string;
  instance: string;
  /** A key ring or a root key; neither for all. */
  target: Partial<RootKeyPath>;
}

/** One for each root key that the grant lets the service use for what it has registered. */
export const addGrantEvents = async (tx: Queryable, change: KeyChange, { principal, instance, target }: GrantedUse): Promise<void> => {
  const text = `insert into key_events (service, key_uid, change, state, instance)
    select $1, k.key_uid, $2, ${KEY_STATE}, $3 from root_keys k
    where k.owner is null and ($4::text is null or k.key_ring = $4) and ($5::text is null or k.key_id = $5) and exists (
      select from scopes s where s.key_uid = k.key_uid and s.destroy_time is null and s.service = $1 and $3 in (s.instance, 'instances/-'))`;
  await tx.query({ name: 'keys.addGrantEvents', text, values: [principal, change, instance, target.keyRing, target.key] });
};

export const selectWaiting = (db: Queryable, service: string, limit: number): Promise<KeyEventRow[]> => {
  const text = `select ${COLUMNS} from key_events e join root_keys k using (key_uid)
    where e.service = $1 and e.acknowledge_time is null order by e.seq limit $2`;
  return db.query<KeyEventRow>({ name: 'keys.selectWaiting', text, values: [service, limit] });
};

/** Answers those that are acknowledged by this. */
export const acknowledge = (tx: Queryable, service: string, eventUids: readonly string[]): Promise<KeyEventRow[]> => {
  const text = `with locked as (select event_uid from key_events where service = $1 and event_uid = any($2::uuid[]) and acknowledge_time is null
      order by seq for update)
    update key_events e set acknowledge_time = now() from locked, root_keys k where e.event_uid = locked.event_uid and k.key_uid = e.key_uid
    returning ${COLUMNS}`;
  return tx.query<KeyEventRow>({ name: 'keys.acknowledge', text, values: [service, eventUids] });
};

/** Answers those that have become overdue by this. */
export const markOverdue = (tx: Queryable, deadlineMs: number, limit: number): Promise<KeyEventRow[]> => {
  const text = `with late as (select event_uid from key_events
      where acknowledge_time is null and overdue_time is null and create_time <= now() - make_interval(secs => $1::float8 / 1000)
      order by create_time limit $2 for update skip locked)
    update key_events e set overdue_time = now() from late, root_keys k where e.event_uid = late.event_uid and k.key_uid = e.key_uid
    returning ${COLUMNS}`;
  return tx.query<KeyEventRow>({ name: 'keys.markOverdue', text, values: [deadlineMs, limit] });
};

/** In milliseconds; null if none waits. */
export const selectNextOverdue = async (db: Queryable, deadlineMs: number): Promise<number | null> => {
  const text = `select (extract(epoch from min(create_time) - now()) * 1000 + $1::float8)::float8 as ms from key_events
    where acknowledge_time is null and overdue_time is null`;
  return (await db.query<{ ms: number | null }>({ name: 'keys.selectNextOverdue', text, values: [deadlineMs] }))[0]?.ms ?? null;
};

/** Answers how many were removed. */
export const removeOldEvents = async (tx: Queryable, limit: number): Promise<number> => {
  const text = `delete from key_events where event_uid in (
      select event_uid from key_events where acknowledge_time < now() - interval '30 days' order by acknowledge_time limit $1) returning event_uid`;
  return (await tx.query({ name: 'keys.removeOldEvents', text, values: [limit] })).length;
};

export interface ExpiredKey extends RootKeyPath {
  keyUid: string;
}

/** Keys that have expired and that nobody was told of; each told from now on, and locked. */
export const tellExpired = (tx: Queryable, limit: number): Promise<ExpiredKey[]> => {
  const text = `update root_keys k set expiry_told_time = now() where key_uid in (
      select key_uid from root_keys where expire_time <= now() and expiry_told_time is null and state = 'ENABLED'
      order by expire_time limit $1 for update)
    returning k.key_uid as "keyUid", k.key_ring as "keyRing", k.key_id as key`;
  return tx.query<ExpiredKey>({ name: 'keys.tellExpired', text, values: [limit] });
};

/** In milliseconds; null if none is planned. */
export const selectNextExpiry = async (db: Queryable): Promise<number | null> => {
  const text = `select (extract(epoch from min(expire_time) - now()) * 1000)::float8 as ms from root_keys
    where expire_time is not null and expiry_told_time is null and state = 'ENABLED'`;
  return (await db.query<{ ms: number | null }>({ name: 'keys.selectNextExpiry', text }))[0]?.ms ?? null;
};
