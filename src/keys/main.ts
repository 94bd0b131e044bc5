// The key service process, wired top to bottom.
import { join } from 'node:path';
import { AuditServiceService } from '../gen/strongroom/audit/v1/audit_service.ts';
import { dialAuditor } from '../kernel/audit.ts';
import { readConfig, readKeyFile } from '../kernel/config.ts';
import { openServiceDb } from '../kernel/db.ts';
import { ownIdentity } from '../kernel/identity.ts';
import { openLog } from '../kernel/log.ts';
import { requireSchema, runMigrations } from '../kernel/migrate.ts';
import { openRelay } from '../kernel/outbox.ts';
import { openOwnEvents } from '../kernel/own-event.ts';
import { OWN_ACTIONS } from './own-actions.ts';
import { pageTokens } from '../kernel/page.ts';
import { dialReplicas } from '../kernel/replicas.ts';
import { serve } from '../kernel/server.ts';
import { openTls } from '../kernel/tls.ts';
import { openAuthorization } from './authorize.ts';
import { openChores } from './chores.ts';
import { keysConfig } from './config.ts';
import { destructionChore } from './destruction.ts';
import { openEpochs } from './epochs.ts';
import { cleanupChore, expiredKeyChore, openKeyEvents, overdueChore } from './key-events.ts';
import { expiryChore } from './expiry.ts';
import { openKeyFiles } from './key-files.ts';
import type { Keys } from './keys.ts';
import { openMasterKeys } from './master-keys.ts';
import { openReplay } from './replay.ts';
import { moveChore, policyChore } from './rotation.ts';
import { openScopeKeys } from './scope-keys.ts';
import { registrations } from './service.ts';
import { openSoftBackend } from './soft.ts';
import { openUsage } from './usage.ts';
import { openVersionUses } from './version-uses.ts';
import { visibilityOf } from './visibility.ts';

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
  const ownEvent = openOwnEvents(self, OWN_ACTIONS);
  const files = openKeyFiles(dir);
  const masterKeys = stack.use(await openMasterKeys(db, files, ownEvent));
  const backend = stack.use(openSoftBackend(masterKeys));

  const auditor = stack.use(dialAuditor(config.audit, tls));
  const auditLog = stack.use(dialReplicas(AuditServiceService, config.audit, tls, 'AUDIT_UNAVAILABLE'));
  const replay = stack.use(await openReplay({ db, backend, files, auditLog, self, log }));
  const relay = stack.use(openRelay(db, replay.watch(auditor), log));
  const schedule = { rotateEveryMs, keepForMs };
  const epochs = stack.use(openEpochs({ keys: { db, backend, relay }, masterKeys, files, ownEvent, ...schedule, log }));
  replay.onDone(() => epochs.kick());
  const uses = openVersionUses();
  const chores = stack.use(
    openChores({
      db,
      relay,
      log,
      chores: [
        destructionChore(db, backend, ownEvent),
        policyChore(db, backend, ownEvent),
        moveChore(backend, ownEvent, log),
        expiryChore(db, backend, ownEvent),
        expiredKeyChore(db, ownEvent),
        overdueChore(db, ownEvent, config.events.deadline),
        cleanupChore,
        uses.chore,
      ],
    }),
  );
  replay.onDone(() => chores.kick());
  const usage = stack.use(openUsage(db, log));
  const scopeKeys = openScopeKeys({ db, backend, epochs: replay, used: uses.note, counted: usage.count, max: config.scopeCache.max });
  const authorization = openAuthorization(db, replay, config, () => replay.assertDone());
  const keys: Keys = {
    db,
    backend,
    scopeKeys,
    relay,
    files,
    epochs,
    schedule,
    chores,
    events: openKeyEvents(() => chores.kick()),
    pages: pageTokens(readKeyFile(config.tokenKeyFile)),
    provisioners: config.provisioners,
    rotationMinimumSeconds: config.rotationMinimum / 1000,
    revoked: (epoch) => {
      scopeKeys.raised(epoch);
      authorization.grantsChanged();
    },
    isVisible: visibilityOf(config.deputies),
  };
  stack.use(
    await serve({
      config,
      log,
      tls,
      registrations: registrations(keys),
      authorize: authorization.authorize,
      auditor,
      ready: async () => {
        replay.assertDone();
        await Promise.all([db.ping(), backend.check()]);
      },
    }),
  );
  return stack.move();
};
