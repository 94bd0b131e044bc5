// The audit log process, wired top to bottom.
import { hkdfSync } from 'node:crypto';
import { join } from 'node:path';
import { AuditServiceService } from '../gen/strongroom/audit/v1/audit_service.ts';
import { callersOf, isListed } from '../kernel/allowlist.ts';
import { dialAuditor, type Auditor, type Event } from '../kernel/audit.ts';
import { readConfig, readKeyFile } from '../kernel/config.ts';
import { openServiceDb } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { ownIdentity, type SpiffeId } from '../kernel/identity.ts';
import { openLog } from '../kernel/log.ts';
import { requireSchema, runMigrations } from '../kernel/migrate.ts';
import { openOwnEvents } from '../kernel/own-event.ts';
import { pageTokens } from '../kernel/page.ts';
import { serve } from '../kernel/server.ts';
import { served } from '../kernel/table.ts';
import { openTls } from '../kernel/tls.ts';
import type { AuditAdmin } from './audit.ts';
import { auditConfig } from './config.ts';
import { openMlDsaCosigner } from './cosignature.ts';
import { draftOf } from './event.ts';
import { serveTiles } from './http.ts';
import { openKeeping } from './keeping.ts';
import { withNews } from './news.ts';
import { openSigner } from './note.ts';
import { openOutside } from './outside.ts';
import { OWN_ACTIONS } from './own-actions.ts';
import { openPublication } from './publication.ts';
import { authorizeReaders, openReaders } from './readers.ts';
import { openSelfCheck } from './self-check.ts';
import { registrations } from './service.ts';
import { openWitnesses } from './witness.ts';
import { openWriter, type Writer } from './writer.ts';

/** How long a reader of entries waits for his own entry. */
const ENTRY_MS = 5_000;
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
  const keyOf = (file: string | undefined) => (file === undefined ? undefined : readKeyFile(file));
  const signer = openSigner(config.origin, seed, keyOf(config.formerSigningKeyFile));
  const mlDsaSeed = keyOf(config.mlDsaKeyFile);
  const publication = openPublication(signer, mlDsaSeed && openMlDsaCosigner(config.origin, mlDsaSeed), config.witnesses);
  const outside = stack.use(openOutside(config.checkpointFiles, signer.verifiers, log));
  const own = stack.use(await openWriter({ db: writerDb, signer, log, outside }));
  const { writer, news } = withNews(own);
  const others = config.replicas && stack.use(dialAuditor({ address: config.replicas, spiffeId: self }, tls));
  const auditor = ownAuditor(writer, self, others);

  const pages = pageTokens(Buffer.from(hkdfSync('sha256', seed, '', 'strongroom/audit/page/v1', 32)));
  const wholeLog = callersOf('auditors', config.auditors, [served(AuditServiceService)]);
  const readers = openReaders(db, config.bindings, (method, principal) => isListed(wholeLog.get(method) ?? new Set(), principal));
  const { verifier } = signer;
  const { bindings } = config;
  const ownEvent = openOwnEvents(self, OWN_ACTIONS);
  stack.use(openKeeping({ db, writer, auditor, bindings, ownEvent, log }));
  const selfCheck = stack.use(openSelfCheck({ db, writer, verifier, auditor, ownEvent, log, ...config.selfCheck }));
  const audit: AuditAdmin = { db, writer, auditor, news, readers, verifier, publication, pages, selfCheck, bindings };
  stack.use(
    await serve({
      config,
      log,
      tls,
      registrations: registrations(audit),
      authorize: authorizeReaders(readers),
      auditor,
      ready: async () => {
        await writer.current();
        await db.ping();
        // A standby answers readers, if there is somebody to take the entry of that.
        if (!others && !(await writer.writes())) throw new AppError('AUDIT_STANDBY', 'another process writes the log');
      },
    }),
  );
  for (const { text } of publication.verifiers) log.info({ resource: text }, 'checkpoints are signed with this key');
  const record = (event: Event) => auditor.append([event], Date.now() + ENTRY_MS);
  if (config.tiles)
    stack.use(
      await serveTiles({
        config: config.tiles,
        trustDomain: config.trustDomain,
        tls,
        log,
        audit,
        record: (principal, sourceAddress, resource, draft) =>
          record({ ...ownEvent('audit.bundle.read', resource, draft), principal, sourceAddress }),
      }),
    );
  if (config.witnesses) {
    const alarm = (name: string, what: string) =>
      record(
        ownEvent('audit.witness.alarm', `witnesses/${name}`, {
          outcome: 'FAILURE',
          code: 15,
          reason: 'WITNESS_CONFLICT',
          attributes: { answer: what },
        }),
      );
    stack.use(openWitnesses({ witnesses: config.witnesses, origin: config.origin, db, writer, publication, log, alarm })).kick();
  }
  return stack.move();
};

/** Entries of the log's own calls: written here, or by the replica whose turn it is. */
const ownAuditor = (writer: Writer, self: SpiffeId, others: Auditor | undefined): Auditor => ({
  append: async (events, deadline) => {
    const drafts = events.map((event) => draftOf(event, self));
    try {
      return (await writer.append(drafts, deadline)).map((result) => {
        if (result instanceof AppError) throw result;
        return result;
      });
    } catch (error) {
      if (!(error instanceof AppError) || error.reason !== 'AUDIT_STANDBY') throw error;
      if (others) return others.append(events, deadline);
      throw new AppError('AUDIT_UNAVAILABLE', 'another process writes the audit log, and `replicas` does not say where; try again', {
        cause: error,
      });
    }
  },
});
