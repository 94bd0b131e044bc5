// The job queue's schema in the store's database: the library's own migrations, run by the owner, and then what the role
// `worker` may do there. The role `store` gets nothing: it adds and removes jobs through two functions of the owner only.
import { runMigrations } from 'graphile-worker';
import { readConfig } from '../kernel/config.ts';
import { dbOptions, openDb } from '../kernel/db.ts';
import { openLog } from '../kernel/log.ts';
import { migrateConfig } from '../kernel/migrate.ts';
import { openPool } from './pool.ts';
import { queueLogger } from './runner.ts';

/** Repeated with every migration: a newer version of the library may have brought tables and functions. */
const GRANTS = `
  select pg_advisory_xact_lock(hashtext('strongroom.migrate'));
  revoke all on schema graphile_worker from public;
  revoke all on all functions in schema graphile_worker from public;
  grant usage on schema graphile_worker to worker;
  grant execute on all functions in schema graphile_worker to worker;
  grant select, insert, update, delete on all tables in schema graphile_worker to worker;
  revoke insert, update, delete on graphile_worker.migrations from worker;
  create index if not exists strongroom_jobs_locked on graphile_worker._private_jobs (locked_by) where locked_by is not null;
  do $$
  declare
    t regclass;
  begin
    for t in select oid from pg_class where relnamespace = 'graphile_worker'::regnamespace and relkind = 'r' and relrowsecurity loop
      execute format('drop policy if exists strongroom_worker on %s', t);
      execute format('create policy strongroom_worker on %s to worker using (true) with check (true)', t);
    end loop;
  end $$`;

export const migrate = async (configFile: string): Promise<void> => {
  const config = readConfig(configFile, migrateConfig);
  const log = openLog('migrate', config.log.level);
  const options = { ...dbOptions(config.database, log), poolSize: 2 };
  const pool = openPool(options);
  const db = openDb(options);
  try {
    await runMigrations({ pgPool: pool, logger: queueLogger(log) });
    await db.transaction((tx) => tx.script(GRANTS));
    log.info({}, 'job queue migrated');
  } finally {
    await Promise.all([pool.end(), db.close()]);
  }
};
