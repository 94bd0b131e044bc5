// The secret store process, wired top to bottom.
import { hkdfSync } from 'node:crypto';
import { join } from 'node:path';
import { EnvelopeServiceService } from '../gen/strongroom/keys/v1/envelope_service.ts';
import { KeyEventServiceService } from '../gen/strongroom/keys/v1/key_event_service.ts';
import { KeyServiceService } from '../gen/strongroom/keys/v1/key_service.ts';
import { RegistrationServiceService } from '../gen/strongroom/keys/v1/registration_service.ts';
import { ScopeServiceService } from '../gen/strongroom/keys/v1/scope_service.ts';
import { dialAuditor } from '../kernel/audit.ts';
import { dial } from '../kernel/client.ts';
import { readConfig, readKeyFile } from '../kernel/config.ts';
import { openServiceDb } from '../kernel/db.ts';
import { ownIdentity } from '../kernel/identity.ts';
import { openLog } from '../kernel/log.ts';
import { requireSchema, runMigrations } from '../kernel/migrate.ts';
import { openRelay } from '../kernel/outbox.ts';
import { openOwnEvents } from '../kernel/own-event.ts';
import { OWN_ACTIONS } from './own-actions.ts';
import { pageTokens } from '../kernel/page.ts';
import { serve } from '../kernel/server.ts';
import { openTls } from '../kernel/tls.ts';
import { openAccesses } from './accesses.ts';
import { openAuthorization } from './authorize.ts';
import { storeConfig } from './config.ts';
import { openEnvelope } from './envelope.ts';
import { openKeyEvents } from './key-events.ts';
import { openScopeRetention } from './scope-retention.ts';
import { openLimiter } from './limiter.ts';
import { purgeLookout, rekeyLookout } from './lookout.ts';
import { openRekeys } from './rekeys.ts';
import { openRotations } from './rotations.ts';
import { registrations } from './service.ts';
import type { Store } from './store.ts';
import { openTrims } from './trims.ts';
import { openWatchers } from './watchers.ts';

const MIGRATIONS = join(import.meta.dirname, 'migrations');

export const migrate = (configFile: string): Promise<void> => runMigrations(configFile, MIGRATIONS);

const derive = (key: Buffer, purpose: string): Buffer => Buffer.from(hkdfSync('sha256', key, '', `strongroom/store/${purpose}/v1`, 32));

export const start = async (configFile: string): Promise<AsyncDisposable> => {
  const config = readConfig(configFile, storeConfig);
  await using stack = new AsyncDisposableStack();
  const log = openLog(config.service, config.log.level);
  const tls = stack.use(openTls(config.tls, log));
  const self = ownIdentity(tls.current.cert, config.trustDomain);
  const db = openServiceDb(config.database, log);
  stack.defer(() => db.close());
  await requireSchema(db, MIGRATIONS);

  const auditor = stack.use(dialAuditor(config.audit, tls));
  const keys = stack.use(dial(KeyServiceService, config.keys, tls, 'KEYS_UNAVAILABLE'));
  const scopes = stack.use(dial(EnvelopeServiceService, config.keys, tls, 'KEYS_UNAVAILABLE'));
  const events = stack.use(dial(KeyEventServiceService, config.keys, tls, 'KEYS_UNAVAILABLE'));
  const registered = stack.use(dial(RegistrationServiceService, config.keys, tls, 'KEYS_UNAVAILABLE'));
  const scopeRetention = stack.use(openScopeRetention({ db, scopes, registrations: registered, log }));
  stack.use(openKeyEvents({ db, scopes, events, opened: () => scopeRetention.suspect(), log }));
  const scopeKeys = stack.use(dial(ScopeServiceService, config.keys, tls, 'KEYS_UNAVAILABLE'));
  const relay = stack.use(openRelay(db, auditor, log));
  const [envelope, ownEvent] = [openEnvelope(scopes), openOwnEvents(self, OWN_ACTIONS)];
  stack.use(openRotations({ db, envelope, relay, self, ownEvent, log }));
  const rekeying = { db, scopes, scopeKeys, relay, self, ownEvent, log };
  const rekeys = stack.use(openRekeys({ ...rekeying, afterPurgeMs: config.rekeyAfterPurge, keepForMs: config.rekeyKeepFor }));
  stack.use(openTrims({ db, relay, self, ownEvent, log }));
  const tokenKey = readKeyFile(config.tokenKeyFile);
  const { administrators, limits } = config;
  const limiter = openLimiter(limits.identity);
  const { authorize, decide, bindingsOf, bindingsChanged, instances } = openAuthorization({ db, administrators, limits, limiter });

  const store: Store = {
    db,
    keys,
    scopes,
    scopeKeys,
    envelope,
    auditor,
    decide,
    relay,
    pages: pageTokens(derive(tokenKey, 'page')),
    retention: {
      defaultSeconds: config.retention.default / 1000,
      minimumSeconds: Math.max(1, config.retention.minimum / 1000),
      maximumSeconds: config.retention.maximum / 1000,
    },
    scopeRetention,
    lookAtPurge: purgeLookout(db),
    lookAtRekey: rekeyLookout(db),
    accesses: stack.use(openAccesses(db, log)),
    watchers: stack.use(openWatchers(db, log)),
    rekeys,
    rekeyKeepForMs: config.rekeyKeepFor,
    rotationMinimumSeconds: Math.ceil(config.rotationMinimum / 1_000),
    bindingsOf,
    bindingsChanged,
    instances,
    limits,
    limiter,
    administrators,
    digestKey: derive(tokenKey, 'digest'),
  };
  stack.use(
    await serve({
      config,
      log,
      tls,
      registrations: registrations(store),
      authorize,
      admit: limiter.admit,
      auditor,
      ready: () => db.ping(),
    }),
  );
  return stack.move();
};
