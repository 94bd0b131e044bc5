// A database of its own on the shared PostgreSQL, for tests that break what is in it.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { v7 as uuidv7 } from 'uuid';
import { SUPERUSER_ROLE } from '../../src/dev/certificates.ts';
import { connect } from '../../src/dev/provision.ts';
import type { DatabaseConfig } from '../../src/kernel/config.ts';
import { HOST, tlsFilesOf, type Stack } from '../../src/dev/stack.ts';
import { dbOptions, openServiceDb, type Db, type DbOptions } from '../../src/kernel/db.ts';
import type { Log } from '../../src/kernel/log.ts';
import { runMigrations } from '../../src/kernel/migrate.ts';

export const silentLog: Log = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

export interface Scratch extends AsyncDisposable {
  readonly name: string;
  /** Where it is. */
  readonly config: DatabaseConfig;
  /** For those who connect in their own way. */
  readonly options: DbOptions;
  /** A database as services open it; closed with the scratch. */
  open(change?: Partial<DatabaseConfig>): Db;
  /** Past everything. */
  sql<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  migrate(folder: string): Promise<void>;
}

export const scratchDatabase = async (stack: Stack, migrations?: string): Promise<Scratch> => {
  const name = `scratch_${uuidv7().replaceAll('-', '')}`;
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-scratch-'));
  const admin = await connect(stack, 'postgres', 'superuser');
  await admin.query(`create database ${name}`);
  const direct = await connect(stack, name, 'superuser');
  const opened: Db[] = [];
  const config = {
    host: HOST,
    port: stack.ports.postgres,
    name,
    user: SUPERUSER_ROLE,
    poolSize: 4,
    tls: tlsFilesOf(stack, 'superuser'),
  };

  const migrate = async (from: string): Promise<void> => {
    const file = join(folder, 'migrate.json');
    writeFileSync(file, JSON.stringify({ database: config, log: { level: 'silent' } }));
    await runMigrations(file, from);
  };
  if (migrations !== undefined) await migrate(migrations);

  return {
    name,
    config,
    options: dbOptions(config, silentLog),
    open: (change = {}) => {
      const db = openServiceDb({ ...config, ...change }, silentLog);
      opened.push(db);
      return db;
    },
    sql: async <Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) => (await direct.query<Row>(text, values)).rows,
    migrate,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(opened.map((db) => db.close()));
      await direct.end();
      await admin.query(`drop database ${name} with (force)`);
      await admin.end();
      rmSync(folder, { recursive: true });
    },
  };
};
