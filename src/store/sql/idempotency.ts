// Table `idempotency`: replies by (caller, method, request id).
import type { Queryable, Transaction } from '../../kernel/db.ts';

export interface Key {
  principal: string;
  method: string;
  requestId: string;
}

export interface Recorded {
  digest: Buffer;
  /** Null only inside the transaction that is making it. */
  response: Buffer | null;
}

const valuesOf = (key: Key) => [key.principal, key.method, key.requestId];

export const selectReply = async (db: Queryable, key: Key): Promise<Recorded | undefined> => {
  const text = 'select digest, response from idempotency where principal = $1 and method = $2 and request_id = $3';
  return (await db.query<Recorded>({ name: 'store.selectReply', text, values: valuesOf(key) }))[0];
};

/** False if the id is taken; waits for a transaction that is just taking it. */
export const claimRequest = async (tx: Queryable, key: Key, digest: Buffer): Promise<boolean> => {
  const text = `insert into idempotency (principal, method, request_id, digest) values ($1, $2, $3, $4)
    on conflict (principal, method, request_id) do nothing returning request_id`;
  return (await tx.query({ name: 'store.claimRequest', text, values: [...valuesOf(key), digest] })).length === 1;
};

export const saveReply = (tx: Transaction, key: Key, response: Buffer): void => {
  const text = 'update idempotency set response = $4 where principal = $1 and method = $2 and request_id = $3';
  tx.send({ name: 'store.saveReply', text, values: [...valuesOf(key), response] });
};
