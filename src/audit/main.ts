// The audit log process, wired top to bottom.
import { hkdfSync } from 'node:crypto';
import { join } from 'node:path';
import type { Auditor } from '../kernel/audit.ts';
import { readConfig, readKeyFile } from '../kernel/config.ts';
import { openServiceDb } from '../kernel/db.ts';
import { ownIdentity } from '../kernel/identity.ts';
import { openLog } from '../kernel/log.ts';
import { openOwnEvents } from '../kernel/own-event.ts';
import { requireSchema, runMigrations } from '../kernel/migrate.ts';
import { pageTokens } from '../kernel/page.ts';
import { serve } from '../kernel/server.ts';
import { openTls } from '../kernel/tls.ts';
import type { AuditAdmin } from './audit.ts';
import { auditConfig } from './config.ts';
import { draftOf } from './event.ts';
import { openKeeping } from './keeping.ts';
import { openSigner } from './note.ts';
import { openOutside } from './outside.ts';
import { openSelfCheck } from './self-check.ts';
import { registrations } from './service.ts';
import { openWriter } from './writer.ts';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

export const migrate = (configFile: string): Promise<void> => runMigrations(configFile, MIGRATIONS);

export const start = async (configFile: string): Promise<AsyncDisposable> => {
  const config = readConfig(configFile, auditConfig);
  await using stack = new AsyncDisposableStack();
  const log = openLog(config.service, config.log.level);
  const tls = stack.use(openTls(config.tls, log));
  const self = ownIdentity(tls.current.cert, config.trustDomain);
  const db = openServiceDb(config.database, log);
  stack.defer(() => db.close());
  await requireSchema(db, MIGRATIONS);

  // A connection of its own for the writer: on the readers' one its commits would wait for their queries.
  const writerDb = openServiceDb({ ...config.database, poolSize: 2 }, log);
  stack.defer(() => writerDb.close());
  const seed = readKeyFile(config.signingKeyFile);
  const signer = openSigner(config.origin, seed);
  const outside = stack.use(openOutside(config.checkpointFiles, signer.verifier, log));
  const writer = await openWriter(writerDb, signer, log, outside);
  const auditor: Auditor = {
    append: (events, deadline) => Promise.all(events.map((event) => writer.append(draftOf(event, self), deadline))),
  };

  const pages = pageTokens(Buffer.from(hkdfSync('sha256', seed, '', 'strongroom/audit/page/v1', 32)));
  const ownEvent = openOwnEvents(self);
  stack.use(openKeeping({ db, auditor, ownEvent, log }));
  const { verifier } = signer;
  const selfCheck = stack.use(openSelfCheck({ db, writer, verifier, auditor, ownEvent, log, ...config.selfCheck }));
  const audit: AuditAdmin = { db, writer, verifier, pages, auditor, selfCheck };
  // The allowlist is all: who reads the log reads all of it.
  stack.use(
    await serve({
      config,
      log,
      tls,
      registrations: registrations(audit),
      authorize: async () => undefined,
      auditor,
      ready: async () => {
        await writer.current();
        await db.ping();
      },
    }),
  );
  log.info({ resource: signer.verifier.text }, 'checkpoints are signed with this key');
  return stack.move();
};
