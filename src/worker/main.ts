// The purge worker process, wired top to bottom. It serves nothing but its health.
import { join } from 'node:path';
import { AuditServiceService } from '../gen/strongroom/audit/v1/audit_service.ts';
import { EnvelopeServiceService } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { KeyServiceService } from '../gen/strongroom/keys/v1/key_service.ts';
import { dialAuditor } from '../kernel/audit.ts';
import { dial } from '../kernel/client.ts';
import { readConfig } from '../kernel/config.ts';
import { dbOptions, openServiceDb } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { ownIdentity } from '../kernel/identity.ts';
import { openLog } from '../kernel/log.ts';
import { requireSchema } from '../kernel/migrate.ts';
import { openOwnEvents } from '../kernel/own-event.ts';
import { dialReplicas } from '../kernel/replicas.ts';
import { serve } from '../kernel/server.ts';
import { openTls } from '../kernel/tls.ts';
import { workerConfig } from './config.ts';
import { OWN_ACTIONS } from './own-actions.ts';
import { openReconcile } from './reconcile.ts';
import { openRunner } from './runner.ts';
import { openSweep } from './sweep.ts';
import { openTraffic } from './traffic.ts';
import type { Worker } from './worker.ts';

export { migrate } from './migrate.ts';

/** The schema that the purge's SQL is written for. */
const STORE_MIGRATIONS = join(import.meta.dirname, '../store/migrations');

export const start = async (configFile: string): Promise<AsyncDisposable> => {
  const config = readConfig(configFile, workerConfig);
  await using stack = new AsyncDisposableStack();
  const log = openLog(config.service, config.log.level);
  const tls = stack.use(openTls(config.tls, log));
  const principal = ownIdentity(tls.current.cert, config.trustDomain);
  const db = openServiceDb(config.database, log);
  stack.defer(() => db.close());
  await requireSchema(db, STORE_MIGRATIONS);

  const keys = stack.use(dial(KeyServiceService, config.keys, tls, 'KEYS_UNAVAILABLE'));
  const scopes = stack.use(dial(EnvelopeServiceService, config.keys, tls, 'KEYS_UNAVAILABLE'));
  const auditor = stack.use(dialAuditor(config.audit, tls));
  const proofs = stack.use(dialReplicas(AuditServiceService, config.audit, tls, 'AUDIT_UNAVAILABLE'));

  const traffic = openTraffic(db, config.rowsPerSecond);
  const worker: Worker = { db, keys, scopes, auditor, proofs, principal, ownEvent: openOwnEvents(principal, OWN_ACTIONS), log, traffic };
  const runner = stack.use(await openRunner(worker, dbOptions(config.database, log), config.concurrency));
  stack.use(openSweep(worker));
  stack.use(openReconcile(worker));
  stack.use(
    await serve({
      config,
      log,
      tls,
      registrations: [],
      authorize: async () => undefined,
      auditor,
      ready: async () => {
        if (!runner.running) throw new AppError('DATABASE_UNAVAILABLE', 'no jobs are being run');
        await db.ping();
      },
    }),
  );
  return stack.move();
};
