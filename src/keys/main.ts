// The key service process, wired top to bottom.
import { join } from 'node:path';
import { AuditServiceService } from '../gen/strongroom/audit/v1/audit_service.ts';
import { dialAuditor } from '../kernel/audit.ts';
import { dial } from '../kernel/client.ts';
import { readConfig } from '../kernel/config.ts';
import { openServiceDb } from '../kernel/db.ts';
import { ownIdentity } from '../kernel/identity.ts';
import { openLog } from '../kernel/log.ts';
import { requireSchema, runMigrations } from '../kernel/migrate.ts';
import { openRelay } from '../kernel/outbox.ts';
import { serve } from '../kernel/server.ts';
import { openTls } from '../kernel/tls.ts';
import { keysConfig } from './config.ts';
import { openEpochs } from './epochs.ts';
import { openKeyFiles } from './key-files.ts';
import type { Keys } from './keys.ts';
import { openMasterKeys } from './master-keys.ts';
import { openOwnEvents } from '../kernel/own-event.ts';
import { openReplay } from './replay.ts';
import { openScopeKeys } from './scope-keys.ts';
import { registrations } from './service.ts';
import { visibilityOf } from './visibility.ts';
import { openSoftBackend } from './soft.ts';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

export const migrate = (configFile: string): Promise<void> => runMigrations(configFile, MIGRATIONS);

export const start = async (configFile: string): Promise<AsyncDisposable> => {
  const config = readConfig(configFile, keysConfig);
  await using stack = new AsyncDisposableStack();
  const log = openLog(config.service, config.log.level);
  const tls = stack.use(openTls(config.tls, log));
  const self = ownIdentity(tls.current.cert, config.trustDomain);
  const db = openServiceDb(config.database, log);
  stack.defer(() => db.close());
  await requireSchema(db, MIGRATIONS);

  const { dir, rotateEvery: rotateEveryMs, keepFor: keepForMs } = config.masterKeys;
  const ownEvent = openOwnEvents(self);
  const files = openKeyFiles(dir);
  const masterKeys = stack.use(await openMasterKeys(db, files, ownEvent));
  const backend = stack.use(openSoftBackend(masterKeys));

  const auditor = stack.use(dialAuditor(config.audit, tls));
  const auditLog = stack.use(dial(AuditServiceService, config.audit, tls, 'AUDIT_UNAVAILABLE'));
  const replay = stack.use(await openReplay({ db, backend, files, auditLog, self, log }));
  const relay = stack.use(openRelay(db, replay.watch(auditor), log));
  const schedule = { rotateEveryMs, keepForMs };
  const epochs = stack.use(openEpochs({ keys: { db, backend, relay }, masterKeys, files, ownEvent, ...schedule, log }));
  replay.onDone(() => epochs.kick());
  const scopeKeys = openScopeKeys({ db, backend, epochs: replay, max: config.scopeCache.max });
  const isVisible = visibilityOf(config.deputies);
  const keys: Keys = { db, backend, scopeKeys, relay, files, epochs, schedule, isVisible };
  // The allowlist is all: only services call this one. What binds a call to its instance is checked with the key.
  stack.use(
    await serve({
      config,
      log,
      tls,
      registrations: registrations(keys),
      authorize: async () => replay.assertDone(),
      auditor,
      ready: async () => {
        replay.assertDone();
        await Promise.all([db.ping(), backend.check()]);
      },
    }),
  );
  return stack.move();
};
