// One replica at a time does a chore.
import type { Queryable } from '../../kernel/db.ts';

/** False if another replica is at it; held until the end of the transaction. */
export const tryChore = async (tx: Queryable, chore: string): Promise<boolean> => {
  const text = `select pg_try_advisory_xact_lock(hashtext('strongroom.chore'), hashtext($1)) as got`;
  return (await tx.query<{ got: boolean }>({ name: 'keys.tryChore', text, values: [chore] }))[0]?.got ?? false;
};
