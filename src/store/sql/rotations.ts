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

/** A rotation that is due, and nobody else looks at for so long. */
export interface DueRotation extends Key {
  instance_id: string;
  group_id: string;
  secret_id: string;
  next_rotation_time: Date;
  rotation_failures: number;
}

export const claimDue = async (tx: Queryable, forSeconds: number): Promise<DueRotation | undefined> => {
  const text = `with due as materialized (
      select instance_uid, secret_uid from secrets where rotation_look_time <= now() order by rotation_look_time limit 1 for update skip locked),
    claimed as (update secrets s set rotation_look_time = ${IN('$1')} from due
      where s.instance_uid = due.instance_uid and s.secret_uid = due.secret_uid
      returning s.instance_uid, s.secret_uid, s.group_uid, s.secret_id, s.next_rotation_time, s.rotation_failures)
    select c.instance_uid, i.instance_id, g.group_id, c.secret_uid, c.secret_id, c.next_rotation_time, c.rotation_failures
    from claimed c join secret_groups g using (instance_uid, group_uid) join instances i using (instance_uid)`;
  return (await tx.query<DueRotation>({ name: 'store.claimDueRotation', text, values: [forSeconds] }))[0];
};

/** False if it is not due any more, since somebody else has rotated it or changed the policy. */
export const recordRotationFailure = async (tx: Queryable, due: DueRotation, error: string, retryInSeconds: number): Promise<boolean> => {
  const text = `update secrets set rotation_failures = rotation_failures + 1, rotation_error = $3, rotation_look_time = ${IN('$4')}
    ${OF_KEY} and date_trunc('milliseconds', next_rotation_time) = $5 returning secret_uid`;
  const values = [...keyOf(due), error, retryInSeconds, due.next_rotation_time];
  return (await tx.query({ name: 'store.recordRotationFailure', text, values })).length === 1;
};

/** In how many milliseconds one is to be looked at, and for how many seconds the oldest has been waiting; null: none is planned. */
export const selectRotations = async (db: Queryable): Promise<{ ms: number | null; lag: number }> => {
  const text = `select (extract(epoch from min(rotation_look_time) - now()) * 1000)::float8 as ms,
      greatest(0, coalesce(extract(epoch from now() - min(rotation_look_time)), 0))::float8 as lag
    from secrets where rotation_look_time is not null`;
  return (await db.query<{ ms: number | null; lag: number }>({ name: 'store.selectRotations', text }))[0]!;
};
