// The rotation columns of table `secrets`: what is generated, how often, when it is due, and how it went.
import type { Queryable, Transaction } from '../../kernel/db.ts';

export interface RotationPolicy {
  /** A protobuf message `Generator`. */
  readonly generator: Buffer;
  /** Null: on request only. */
  readonly seconds: number | null;
}

export interface RotationRow {
  generator: Buffer | null;
  rotation_seconds: number | null;
  next_rotation_time: Date | null;
  rotation_look_time: Date | null;
  last_rotation_time: Date | null;
  rotation_failures: number;
  rotation_error: string;
}

export const ROTATION_COLUMNS = `s.generator, s.rotation_seconds, s.next_rotation_time, s.rotation_look_time, s.last_rotation_time,
  s.rotation_failures, s.rotation_error`;

interface Key {
  instance_uid: string;
  secret_uid: string;
}
const keyOf = ({ instance_uid, secret_uid }: Key) => [instance_uid, secret_uid];
const OF_KEY = 'where instance_uid = $1 and secret_uid = $2';
const IN = (seconds: string) => `now() + make_interval(secs => ${seconds}::float8)`;

/** To be called with the secret locked; the next one is due in so many seconds. Null: nothing is rotated any more. */
export const setRotation = (tx: Transaction, key: Key, policy: RotationPolicy | null, dueInSeconds: number | null): void => {
  const text = `update secrets set generator = $3, rotation_seconds = $4, next_rotation_time = ${IN('$5')}, rotation_look_time = ${IN('$5')},
      rotation_failures = 0, rotation_error = '' ${OF_KEY}`;
  tx.send({ name: 'store.setRotation', text, values: [...keyOf(key), policy?.generator, policy?.seconds, dueInSeconds] });
};

export const recordRotated = (tx: Transaction, key: Key, dueInSeconds: number | null): void => {
  const text = `update secrets set last_rotation_time = now(), next_rotation_time = ${IN('$3')}, rotation_look_time = ${IN('$3')},
      rotation_failures = 0, rotation_error = '' ${OF_KEY}`;
  tx.send({ name: 'store.recordRotated', text, values: [...keyOf(key), dueInSeconds] });
};

/** A rotation that is due, and that nobody else looks at for some time. */
export interface DueRotation extends Key {
  instance_id: string;
  group_id: string;
  secret_id: string;
  next_rotation_time: Date;
  rotation_failures: number;
  /** Not so if it, or what is above it, is deleted, or its newest version is not enabled: then it is put off. */
  is_wanted: boolean;
}

const FROM = 'from secrets s join secret_groups g using (instance_uid, group_uid) join instances i using (instance_uid)';
/** A purge deletes rows by their place, so none of them may move. */
const NOT_PURGED = `s.state <> 'PURGING' and g.state <> 'PURGING' and i.state <> 'PURGING'`;

/** The one that has been due for longest. No purge of it begins until the end of the transaction. */
export const claimDue = async (tx: Queryable, forSeconds: number, putOffSeconds: number): Promise<DueRotation | undefined> => {
  const text = `with due as materialized (
      select s.instance_uid, s.secret_uid, i.instance_id, g.group_id, s.secret_id, s.next_rotation_time, s.rotation_failures,
        s.state = 'ACTIVE' and g.state = 'ACTIVE' and i.state = 'ACTIVE' and not exists (
          select from secret_versions v where v.instance_uid = s.instance_uid and v.secret_uid = s.secret_uid and v.version = s.latest_version
            and v.state <> 'ENABLED') as is_wanted
      ${FROM} where s.rotation_look_time <= now() and ${NOT_PURGED} order by s.rotation_look_time limit 1
      for update of s skip locked for share of g, i skip locked),
    claimed as (update secrets s set rotation_look_time = now() + make_interval(secs => case when due.is_wanted then $1::float8 else $2::float8 end)
      from due where s.instance_uid = due.instance_uid and s.secret_uid = due.secret_uid)
    select * from due`;
  return (await tx.query<DueRotation>({ name: 'store.claimDueRotation', text, values: [forSeconds, putOffSeconds] }))[0];
};

/** To be called with the secret locked. */
export const recordRotationFailure = (tx: Transaction, key: Key, error: string, retryInSeconds: number): void => {
  const text = `update secrets set rotation_failures = rotation_failures + 1, rotation_error = $3, rotation_look_time = ${IN('$4')} ${OF_KEY}`;
  tx.send({ name: 'store.recordRotationFailure', text, values: [...keyOf(key), error, retryInSeconds] });
};

/** In how many milliseconds the next one is to be looked at, or less than 0 since when it could have been; null: none is planned. */
export const selectNextRotation = async (db: Queryable): Promise<number | null> => {
  const text = `select (extract(epoch from s.rotation_look_time - now()) * 1000)::float8 as ms
    ${FROM} where s.rotation_look_time is not null and ${NOT_PURGED} order by s.rotation_look_time limit 1`;
  return (await db.query<{ ms: number }>({ name: 'store.selectNextRotation', text }))[0]?.ms ?? null;
};
