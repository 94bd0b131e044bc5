// A secret on its way to another group: its row, its wrapped DEKs, and table `moved_names`.
import type { Queryable, Transaction } from '../../kernel/db.ts';
import type { VersionState } from '../state.ts';
import type { GroupKey } from './rekeys.ts';

export interface KeptDek {
  version: number;
  state: VersionState;
  wrapped_dek: Buffer;
}

interface SecretKey {
  instance_uid: string;
  secret_uid: string;
}

/** Of all versions that are not destroyed. */
export const selectKeptDeks = (db: Queryable, { instance_uid, secret_uid }: SecretKey, limit: number): Promise<KeptDek[]> => {
  const text = `select version, state, wrapped_dek from secret_versions
    where instance_uid = $1 and secret_uid = $2 and wrapped_dek is not null order by version limit $3`;
  return db.query<KeptDek>({ name: 'store.selectKeptDeks', text, values: [instance_uid, secret_uid, limit] });
};

/** Its versions keep their place: that is the secret, not the group. */
export const moveSecret = async (tx: Queryable, { instance_uid, secret_uid }: SecretKey, groupUid: string): Promise<void> => {
  const text = `update secrets set group_uid = $3, revision = revision + 1, update_time = now() where instance_uid = $1 and secret_uid = $2`;
  await tx.query({ name: 'store.moveSecret', text, values: [instance_uid, secret_uid, groupUid] });
};

/** In the transaction of the move, before the wrapped DEKs are replaced. */
export const retireName = (tx: Transaction, resource: string, secretUid: string): void => {
  const text = `insert into moved_names (resource, secret_uid) values ($1, $2)
    on conflict (resource) do update set move_xact = default, move_time = default`;
  tx.send({ name: 'store.retireName', text, values: [resource, secretUid] });
};

/** What it had wrapped would open in a backup: the key is replaced as if something had been destroyed. */
export const wantRekey = (tx: Transaction, { instance_uid, group_uid }: GroupKey): void => {
  const text = 'insert into rekeys_wanted (instance_uid, group_uid) values ($1, $2) on conflict do nothing';
  tx.send({ name: 'store.wantRekey', text, values: [instance_uid, group_uid] });
};
