// Table `destructions_confirmed`, and destructions made again.
import type { Queryable } from '../../kernel/db.ts';

export const selectConfirmed = async (db: Queryable): Promise<bigint> => {
  const text = 'select index from destructions_confirmed';
  return (await db.query<{ index: bigint }>({ name: 'keys.selectConfirmed', text }))[0]?.index ?? 0n;
};

export const setConfirmed = async (db: Queryable, index: bigint): Promise<void> => {
  await db.query({ name: 'keys.setConfirmed', text: 'update destructions_confirmed set index = $1', values: [index] });
};

/** Only in a database that has all destructions this process knows of: one that was brought back meanwhile has not. */
export const raiseConfirmed = async (db: Queryable, index: bigint, epoch: bigint): Promise<void> => {
  const text = 'update destructions_confirmed set index = $1 where index < $1 and (select epoch from keys_epoch) >= $2';
  await db.query({ name: 'keys.raiseConfirmed', text, values: [index, epoch] });
};

export interface LiveVersion {
  key_uid: string;
  version: number;
  ref: Buffer;
}

export const lockVersions = (tx: Queryable, keyUids: readonly string[]): Promise<LiveVersion[]> => {
  const text = `select v.key_uid, v.version, v.ref from root_keys k join root_key_versions v using (key_uid)
    where k.key_uid = any($1::uuid[]) and v.ref is not null order by v.key_uid, v.version for update`;
  return tx.query<LiveVersion>({ name: 'keys.lockVersions', text, values: [keyUids] });
};

/** Answers how many there were. */
export const removeGrants = async (tx: Queryable, grantUids: readonly string[]): Promise<number> => {
  const text = 'delete from grants where grant_uid = any($1::uuid[]) returning grant_uid';
  return (await tx.query({ name: 'keys.removeGrants', text, values: [grantUids] })).length;
};

/** Answers how many were enabled. */
export const disableRootKeys = async (tx: Queryable, keyUids: readonly string[]): Promise<number> => {
  const text = `update root_keys set state = 'DISABLED', revision = revision + 1, update_time = now()
    where key_uid = any($1::uuid[]) and state = 'ENABLED' returning key_uid`;
  return (await tx.query({ name: 'keys.disableRootKeys', text, values: [keyUids] })).length;
};
