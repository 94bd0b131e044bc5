// The job queue's own connections: the queue's library takes a pool of the driver, not our `Db`.
import pg from 'pg';
import type { DbOptions, Queryable } from '../kernel/db.ts';

const connection = ({ host, port, name, user, tls }: DbOptions): pg.ClientConfig => ({
  host,
  port,
  database: name,
  user,
  ssl: { ...tls, minVersion: 'TLSv1.3' },
  connectionTimeoutMillis: 2_000,
  statement_timeout: 15_000,
  lock_timeout: 5_000,
  idle_in_transaction_session_timeout: 15_000,
  keepAlive: true,
  // The kernel reads int8 as bigint everywhere in the process; the library puts job ids into JSON, which takes no bigint.
  types: { getTypeParser: (id, format) => (id === pg.types.builtins.INT8 ? String : pg.types.getTypeParser(id, format)) },
});

export const openPool = (options: DbOptions): pg.Pool => {
  const pool = new pg.Pool({ ...connection(options), max: options.poolSize, maxLifetimeSeconds: 1800 });
  const lost = (error: Error) => options.log.warn({ error: error.message }, 'database connection lost');
  pool.on('error', lost);
  pool.on('connect', (client) => client.on('error', lost));
  return pool;
};

export interface Session extends Queryable, AsyncDisposable {
  /** Resolves when the connection is lost or closed. */
  readonly ended: Promise<void>;
}

/** One connection that stays open. */
export const openSession = async (options: DbOptions): Promise<Session> => {
  const client = new pg.Client(connection(options));
  const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
  client.on('error', (error) => options.log.warn({ error: error.message }, 'database connection lost'));
  await client.connect();
  return {
    ended,
    query: async (statement) => (await client.query(statement)).rows,
    [Symbol.asyncDispose]: () => client.end(),
  };
};
