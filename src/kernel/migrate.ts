// Schema migrations: plain numbered SQL files, forward only, run by the owner role, once, by whoever is first. A service
// refuses to run on a schema older or newer than its files.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { databaseSchema, logSchema, readConfig } from './config.ts';
import { dbOptions, openDb, type Db, type DbOptions } from './db.ts';
import { openLog, type Log } from './log.ts';

interface Migration {
  version: number;
  name: string;
  text: string;
  checksum: string;
}

interface Applied {
  version: number;
  checksum: string;
}

const FILE = /^(\d{4})_[a-z0-9_-]+\.sql$/;

const filesOf = (directory: string): Migration[] =>
  readdirSync(directory)
    .filter((name) => FILE.test(name))
    .sort()
    .map((name) => {
      const text = readFileSync(join(directory, name), 'utf8');
      return { version: Number(name.slice(0, 4)), name, text, checksum: createHash('sha256').update(text).digest('hex') };
    });

const LEDGER = `create table if not exists schema_migrations (
  version int primary key, name text not null, checksum text not null, applied_time timestamptz not null default now())`;

/** The configuration of a migration: the database as its owner, whom no service is. */
export const migrateConfig = z.strictObject({ database: databaseSchema, log: logSchema.default({ level: 'info' }) });

export const runMigrations = (configFile: string, directory: string): Promise<void> => {
  const config = readConfig(configFile, migrateConfig);
  const log = openLog('migrate', config.log.level);
  return apply(dbOptions(config.database, log), directory, log);
};

const apply = async (options: DbOptions, directory: string, log: Log): Promise<void> => {
  const files = filesOf(directory);
  const db = openDb({ ...options, poolSize: 2 });
  try {
    await db.transaction(async (tx) => {
      await tx.query({ name: 'migrate.lock', text: `select pg_advisory_xact_lock(hashtext('strongroom.migrate'))` });
      await tx.query({ name: 'migrate.ledger', text: LEDGER });
      await tx.query({ name: 'migrate.grant', text: 'grant select on schema_migrations to public' });
      const applied = await tx.query<Applied>({
        name: 'migrate.applied',
        text: 'select version, checksum from schema_migrations order by version',
      });
      check(files, applied, { complete: false });
      for (const { version, name, text, checksum } of files.slice(applied.length)) {
        await tx.script(text);
        await tx.query({
          name: 'migrate.record',
          text: 'insert into schema_migrations (version, name, checksum) values ($1, $2, $3)',
          values: [version, name, checksum],
        });
        log.info({ version, file: name }, 'schema migrated');
      }
    });
  } finally {
    await db.close();
  }
};

/** What was applied must be the beginning of what the files say; with `complete`, all of it. */
const check = (files: readonly Migration[], applied: readonly Applied[], { complete }: { complete: boolean }): void => {
  for (const [i, row] of applied.entries()) {
    const file = files[i];
    if (!file) throw new Error(`the database schema (version ${row.version}) is newer than this program; run the newer program`);
    if (file.version !== row.version || file.checksum !== row.checksum)
      throw new Error(`migration ${file.name} was changed after it had been applied`);
  }
  if (complete && applied.length < files.length)
    throw new Error(`the database schema is older than this program; run the migrations first`);
};

export const requireSchema = async (db: Db, directory: string): Promise<void> => {
  const applied = await db.read.query<Applied>({
    name: 'migrate.appliedNames',
    text: 'select version, checksum from schema_migrations order by version',
  });
  check(filesOf(directory), applied, { complete: true });
};
