// The key service process, wired top to bottom.
import { join } from 'node:path';
import { dialAuditor } from '../kernel/audit.ts';
import { readConfig, readKeyFile } from '../kernel/config.ts';
import { openServiceDb } from '../kernel/db.ts';
import { openLog } from '../kernel/log.ts';
import { requireSchema, runMigrations } from '../kernel/migrate.ts';
import { openRelay } from '../kernel/outbox.ts';
import { serve } from '../kernel/server.ts';
import { openTls } from '../kernel/tls.ts';
import { keysConfig } from './config.ts';
import type { Keys } from './keys.ts';
import { openScopeKeys } from './scope-keys.ts';
import { registrations } from './service.ts';
import { openSoftBackend } from './soft.ts';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

export const migrate = (configFile: string): Promise<void> => runMigrations(configFile, MIGRATIONS);

export const start = async (configFile: string): Promise<AsyncDisposable> => {
  const config = readConfig(configFile, keysConfig);
  await using stack = new AsyncDisposableStack();
  const log = openLog(config.service, config.log.level);
  const tls = stack.use(openTls(config.tls, log));
  const db = openServiceDb(config.database, log);
  stack.defer(() => db.close());
  await requireSchema(db, MIGRATIONS);

  const backend = stack.use(openSoftBackend(readKeyFile(config.masterKeyFile)));
  const auditor = stack.use(dialAuditor(config.audit, tls));
  const relay = stack.use(openRelay(db, auditor, log));
  const keys: Keys = { db, backend, scopeKeys: openScopeKeys(db, backend), relay };
  // The allowlist is all: only services call this one. What binds a call to its instance is checked with the key.
  stack.use(
    await serve({
      config,
      log,
      tls,
      registrations: registrations(keys),
      authorize: async () => undefined,
      auditor,
      ready: async () => {
        await Promise.all([db.ping(), backend.check()]);
      },
    }),
  );
  return stack.move();
};
