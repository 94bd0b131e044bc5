// Table `unfinished_creates`: what creates have asked the key service for, and have not made use of yet.
import type { Queryable } from '../../kernel/db.ts';

export const beginCreate = async (tx: Queryable, keyResource: string): Promise<void> => {
  const text = 'insert into unfinished_creates (key_resource) values ($1)';
  await tx.query({ name: 'store.beginCreate', text, values: [keyResource] });
};

/** In the transaction that makes use of it. False if the worker has given it up meanwhile. */
export const endCreate = async (tx: Queryable, keyResource: string): Promise<boolean> => {
  const text = 'delete from unfinished_creates where key_resource = $1 returning key_resource';
  return (await tx.query({ name: 'store.endCreate', text, values: [keyResource] })).length === 1;
};
