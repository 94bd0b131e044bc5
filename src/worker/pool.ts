// The job queue's own connections: the queue's library takes a pool of the driver, not our `Db`.
import pg from 'pg';
import { connectionOf, type DbOptions, type Queryable } from '../kernel/db.ts';

// The kernel reads int8 as bigint everywhere in the process; the library puts job ids into JSON, which takes no bigint.
const types: pg.CustomTypesConfig = {
  getTypeParser: (id, format) => (id === pg.types.builtins.INT8 ? String : pg.types.getTypeParser(id, format)),
};

export const openPool = (options: DbOptions): pg.Pool => {
  const pool = new pg.Pool({ ...connectionOf(options), types, max: options.poolSize, maxLifetimeSeconds: 1800 });
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
  const client = new pg.Client({ ...connectionOf(options), types });
  const ended = new Promise<void>((resolve) => client.once('end', () => resolve()));
  client.on('error', (error) => options.log.warn({ error: error.message }, 'database connection lost'));
  await client.connect();
  return {
    ended,
    query: async (statement) => (await client.query(statement)).rows,
    [Symbol.asyncDispose]: () => client.end(),
  };
};
