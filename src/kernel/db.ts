// PostgreSQL over mutual TLS: a pipelined connection for reads, a pool for transactions, and the map from SQLSTATE to
// errors a caller may see. No SQL text of any service stands here.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import type { DatabaseConfig } from './config.ts';
import { AppError } from './errors.ts';
import type { Log } from './log.ts';

// int8 as bigint: the driver's default is a string.
pg.types.setTypeParser(pg.types.builtins.INT8, BigInt);

/** A prepared statement: a name of its own, so that each connection parses it once. */
export interface Statement {
  name: string;
  text: string;
  values?: unknown[];
}

/** Anything that runs a statement: the reader, or a transaction. */
export interface Queryable {
  query<Row extends object>(statement: Statement): Promise<Row[]>;
}

export interface Transaction extends Queryable {
  /** Runs a statement whose answer nobody needs, without a wait of its own; if it fails, so does the commit. */
  send(statement: Statement): void;
  /** Runs several statements as they stand in a file; for migrations. */
  script(text: string): Promise<void>;
}

export interface Db {
  /** Reads outside transactions, all on one pipelined connection. */
  readonly read: Queryable;
  /** Runs `work` in a READ COMMITTED transaction; tried again up to 3 times on a serialization failure or deadlock. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** Throws if the database does not answer. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface DbOptions {
  host: string;
  port: number;
  name: string;
  user: string;
  tls: { ca: Buffer; cert: Buffer; key: Buffer };
  poolSize: number;
  log: Log;
}

/** What every connection of ours has; also for a library that takes the driver's own. */
export const connectionOf = (options: DbOptions): pg.ClientConfig => ({
  host: options.host,
  port: options.port,
  database: options.name,
  user: options.user,
  ssl: { ...options.tls, minVersion: 'TLSv1.3' },
  connectionTimeoutMillis: 2_000,
  statement_timeout: 15_000,
  lock_timeout: 5_000,
  idle_in_transaction_session_timeout: 15_000,
  keepAlive: true,
});

const isPgError = (error: unknown): error is pg.DatabaseError => error instanceof pg.DatabaseError;

const unavailable = (cause: unknown): AppError =>
  new AppError('DATABASE_UNAVAILABLE', 'the database could not be reached; nothing was changed, try again', { cause });

/** The SQLSTATE of an error from PostgreSQL, so that a caller can treat an expected one. */
export const sqlState = (error: unknown): string | undefined => {
  const cause = error instanceof AppError ? error.cause : error;
  return isPgError(cause) ? cause.code : undefined;
};

/** Errors of the database as errors of ours. A constraint violation stays as it is, for the caller to name. */
const mapError = (error: unknown): unknown => {
  if (error instanceof AppError) return error;
  if (!isPgError(error)) return unavailable(error);
  const state = error.code ?? '';
  if (state === '40001' || state === '40P01' || state === '55P03')
    return new AppError('CONFLICT', 'another change was under way; try again', { cause: error });
  if (state === '57014' || state === '25P03') return new AppError('DEADLINE_EXCEEDED', 'the database took too long', { cause: error });
  if (state === '53100')
    return new AppError('DATABASE_UNAVAILABLE', 'the disk of the database is full; nothing was changed, make room there and try again', {
      cause: error,
    });
  if (state.startsWith('57') || state.startsWith('08') || state.startsWith('53')) return unavailable(error);
  return error;
};

const run = async <Row extends object>(client: pg.Client | pg.PoolClient, statement: Statement): Promise<Row[]> => {
  try {
    return (await client.query<Row & pg.QueryResultRow>(statement)).rows;
  } catch (error) {
    throw mapError(error);
  }
};

const UNCERTAIN = 'the database went away; the change may or may not have been made, repeat it with the same request id';

/** A commit whose answer is lost may have happened; one after an error that `work` has swallowed has not. */
const commit = async (client: pg.PoolClient): Promise<void> => {
  const { command } = await client.query({ name: 'commit', text: 'commit' }).catch((error: unknown) => {
    const mapped = mapError(error);
    if (!(mapped instanceof AppError) || mapped.reason === 'CONFLICT') throw mapped;
    throw new AppError('DATABASE_UNAVAILABLE', UNCERTAIN, { cause: error });
  });
  if (command !== 'COMMIT') throw new Error(`the transaction was not committed but answered ${command}`);
};

/** What PostgreSQL has answered to statements that were sent: after the first error of one it answers all that follows with others. */
const firstError = async (sent: readonly Promise<unknown>[], otherwise: unknown): Promise<unknown> => {
  const [first] = (await Promise.allSettled(sent)).filter((result) => result.status === 'rejected');
  return first && sqlState(first.reason) !== undefined ? first.reason : otherwise;
};

/**
 * A read that takes longer keeps all behind it waiting: PostgreSQL is to give it up, and if it does not answer at all, as
 * after a network that swallows packets, the connection is given up.
 */
const READ_LIMITS = { statement_timeout: 2_000, query_timeout: 2_500 };

/** One pipelined connection, opened on demand and again after it is lost. */
const pipelinedReader = (options: DbOptions): Queryable & { close(): Promise<void> } => {
  let current: Promise<pg.Client> | undefined;
  const warned = new WeakSet<pg.Client>();
  const open = (): Promise<pg.Client> => {
    const client = new pg.Client({ ...connectionOf(options), ...READ_LIMITS, pipeline: true });
    const opening = client.connect().then(
      () => client.on('notice', distrust),
      (error: unknown) => {
        forget();
        throw unavailable(error);
      },
    );
    // Its end may be seen only after another one was opened in its place.
    const forget = (): void => {
      if (current === opening) current = undefined;
    };
    client.on('error', (error) => {
      options.log.warn({ error: error.message }, 'database connection lost');
      forget();
    });
    client.on('end', forget);
    // So PostgreSQL says that a commit is on its own disk, but not on those of the standbys that it was told to wait for. It comes
    // before the answer.
    const distrust = ({ severity, message = '' }: { severity?: string | undefined; message?: string | undefined }): void => {
      if (severity !== 'WARNING') return;
      options.log.warn({ error: message }, 'a warning of the database; its connection is not used any more');
      warned.add(client);
      forget();
      client.end().catch(() => undefined);
    };
    return opening;
  };
  return {
    query: async <Row extends object>(statement: Statement) => {
      const client = await (current ??= open());
      const rows = await run<Row>(client, statement);
      if (warned.has(client)) throw unavailable(new Error('an answer came with a warning'));
      return rows;
    },
    close: async () => (await current?.catch(() => undefined))?.end(),
  };
};

export const openDb = (options: DbOptions): Db => {
  const pool = new pg.Pool({
    ...connectionOf(options),
    pipeline: true,
    max: options.poolSize,
    min: 1,
    idleTimeoutMillis: 60_000,
    maxLifetimeSeconds: 1800,
  });
  pool.on('error', (error) => options.log.warn({ error: error.message }, 'database connection lost'));
  const read = pipelinedReader(options);

  const attempt = async <T>(work: (tx: Transaction) => Promise<T>): Promise<T> => {
    const client = await pool.connect().catch((error: unknown) => {
      throw unavailable(error);
    });
    const lost = (error: Error) => options.log.warn({ error: error.message }, 'database connection lost');
    client.on('error', lost);
    let broken = true;
    const sent: Promise<unknown>[] = [];
    try {
      await run(client, { name: 'begin', text: 'begin' });
      const result = await work({
        query: (statement) => run(client, statement),
        send: (statement) => {
          const sending = run(client, statement);
          // Seen at the commit, if there is one.
          sending.catch(() => undefined);
          sent.push(sending);
        },
        script: async (text) => {
          await client.query(text).catch((error: unknown) => {
            throw mapError(error);
          });
        },
      });
      await commit(client);
      broken = false;
      return result;
    } catch (error) {
      broken = await run(client, { name: 'rollback', text: 'rollback' }).then(
        () => false,
        () => true,
      );
      throw await firstError(sent, error);
    } finally {
      client.off('error', lost);
      client.release(broken);
    }
  };

  return {
    read,
    ping: async () => void (await read.query({ name: 'ping', text: 'select 1 as one' })),
    transaction: async (work) => {
      for (let tries = 1; ; tries++) {
        try {
          return await attempt(work);
        } catch (error) {
          // A conflict that `work` itself has found would be found again.
          if (!(error instanceof AppError && error.reason === 'CONFLICT' && sqlState(error)) || tries === 3) throw error;
        }
      }
    },
    close: async () => {
      await Promise.all([pool.end(), read.close()]);
    },
  };
};

/** The database of a configuration, its certificates read. */
export const openServiceDb = (config: DatabaseConfig, log: Log): Db => openDb(dbOptions(config, log));

export const dbOptions = ({ tls, ...config }: DatabaseConfig, log: Log): DbOptions => ({
  ...config,
  tls: { ca: readFileSync(tls.caFile), cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) },
  log,
});
