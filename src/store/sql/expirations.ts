// The expiry of secrets and versions: the time in the row and the worker's job, together or not at all.
import type { Transaction } from '../../kernel/db.ts';

interface Key {
  instance_uid: string;
  secret_uid: string;
}

/** The job that goes with a time in the row, which is new or was moved; null: there is none any more. */
export const rescheduleExpiry = (tx: Transaction, key: Key, version: number | null, time: Date | null): void => {
  const values = [key.instance_uid, key.secret_uid, version, time];
  tx.send({ name: 'store.scheduleExpiry', text: 'select schedule_expiry($1, $2, $3, $4)', values });
};

/** For what is just being made. */
export const scheduleExpiry = (tx: Transaction, key: Key, version: number | null, time: Date | null): void => {
  if (time) rescheduleExpiry(tx, key, version, time);
};

/** To be called with the secret locked. */
export const setSecretExpiry = (tx: Transaction, key: Key, time: Date | null): void => {
  const text = 'update secrets set expire_time = $3 where instance_uid = $1 and secret_uid = $2';
  tx.send({ name: 'store.setSecretExpiry', text, values: [key.instance_uid, key.secret_uid, time] });
  rescheduleExpiry(tx, key, null, time);
};
