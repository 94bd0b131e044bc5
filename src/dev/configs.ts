// The configuration files of a stack's services, the same that a real deployment writes, typed by the services' own
// schemas. Paths are relative to the files, so that a checkout can move.
import { mkdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { z } from 'zod';
import type { auditConfig } from '../audit/config.ts';
import type { keysConfig } from '../keys/config.ts';
import type { migrateConfig } from '../kernel/migrate.ts';
import type { storeConfig } from '../store/config.ts';
import type { workerConfig } from '../worker/config.ts';
import { OWNER_ROLE } from './certificates.ts';
import { ensureKeyFile, writeIfChanged } from './files.ts';
import { addressOf, CALLERS, HOST, SERVICES, spiffeIdOf, tlsFilesOf, TRUST_DOMAIN, type Service, type Stack } from './stack.ts';

const folderOf = (stack: Stack): string => join(stack.state, 'config');
export const configFileOf = (stack: Stack, service: Service): string => join(folderOf(stack), `${service}.json`);
export const migrateFileOf = (stack: Stack, service: Service): string => join(folderOf(stack), `migrate-${service}.json`);

/** The database of each service; the worker's jobs are the store's. */
export const DATABASE_OF: Readonly<Record<Service, string>> = { audit: 'audit', keys: 'keys', store: 'store', worker: 'store' };

const tlsOf = (stack: Stack, name: string) => {
  const { certFile, keyFile, caFile } = tlsFilesOf(stack, name);
  const from = (file: string) => relative(folderOf(stack), file);
  return { certFile: from(certFile), keyFile: from(keyFile), caFile: from(caFile) };
};

const databaseOf = (stack: Stack, service: Service, user: string, certificate: string) => ({
  host: HOST,
  port: stack.ports.postgres,
  name: DATABASE_OF[service],
  user,
  tls: tlsOf(stack, certificate),
});

const peer = (stack: Stack, service: Service) => ({ address: addressOf(stack, service), spiffeId: spiffeIdOf(service) });

const common = (stack: Stack, service: Service) => ({
  service,
  trustDomain: TRUST_DOMAIN,
  listen: { host: HOST, port: stack.ports[service] },
  tls: tlsOf(stack, service),
  database: databaseOf(stack, service, service, service),
  reflection: CALLERS.map(spiffeIdOf),
});

const keyFile = (name: string): string => join('..', name);
const [store, keys, audit, worker] = [spiffeIdOf('store'), spiffeIdOf('keys'), spiffeIdOf('audit'), spiffeIdOf('worker')];
const [operator, auditor] = [spiffeIdOf('operator'), spiffeIdOf('auditor')];

const READING = ['ListEntries', 'TailEntries', 'GetLogStatistics', 'GetEntry', 'GetCheckpoint', 'GetInclusionProof', 'GetConsistencyProof'];

const auditOf = (stack: Stack): z.input<typeof auditConfig> => ({
  ...common(stack, 'audit'),
  allow: {
    'strongroom.audit.v1.AuditWriterService': [store, keys, audit, worker],
    'strongroom.audit.v1.AuditService': [auditor],
    'strongroom.audit.v1.AuditAdminService': [operator],
    'strongroom.audit.v1.AuditAdminService/GetRetentionPolicy': [operator, auditor],
    'strongroom.audit.v1.AuditAdminService/GetLogStatus': [operator, auditor],
    // Auditors of instances as well; who they are is known from the store's bindings.
    ...Object.fromEntries(READING.map((name) => [`strongroom.audit.v1.AuditService/${name}`, ['*']])),
  },
  auditors: {
    'strongroom.audit.v1.AuditService': [auditor],
    'strongroom.audit.v1.AuditService/ListEntries': [auditor, keys],
    'strongroom.audit.v1.AuditService/GetInclusionProof': [auditor, worker],
  },
  bindings: { store, worker },
  origin: `${TRUST_DOMAIN}/audit`,
  signingKeyFile: keyFile('audit-signing.key'),
  checkpointFiles: [join('..', 'audit.checkpoint')],
});

const keysOf = (stack: Stack): z.input<typeof keysConfig> => ({
  ...common(stack, 'keys'),
  allow: {
    'strongroom.keys.v1.EnvelopeService': [store],
    'strongroom.keys.v1.EnvelopeService/DestroyScope': [store, worker],
    'strongroom.keys.v1.EnvelopeService/GetScope': [store, worker, operator],
    'strongroom.keys.v1.EnvelopeService/BatchGetScopes': [store, worker],
    'strongroom.keys.v1.RegistrationService/SetRetention': [store],
    'strongroom.keys.v1.KeyEventService': [store],
    'strongroom.keys.v1.ScopeService': [store],
    // Grants decide.
    'strongroom.keys.v1.RegistrationService': ['*'],
    'strongroom.keys.v1.ImportService': ['*'],
    'strongroom.keys.v1.KeyRingService': ['*'],
    'strongroom.keys.v1.KeyService': ['*'],
    'strongroom.keys.v1.KeyVersionService': ['*'],
    'strongroom.keys.v1.GrantService': ['*'],
  },
  audit: peer(stack, 'audit'),
  administrators: [operator],
  provisioners: [store],
  purgers: [worker],
  deputies: { [worker]: [store], [operator]: [store] },
  tokenKeyFile: keyFile('token.key'),
  masterKeys: { dir: join('..', 'master-keys'), rotateEvery: '30d', keepFor: '7d' },
});

const TENANT_SERVICES = [
  'Instance',
  'SecretGroup',
  'Secret',
  'SecretAccess',
  'SecretVersionAlias',
  'SecretLock',
  'SecretRotation',
  'SecretWatch',
  'SecretMove',
  'Binding',
  'Authorization',
  'Limit',
  'Hold',
  'Purge',
];

const storeOf = (stack: Stack): z.input<typeof storeConfig> => ({
  ...common(stack, 'store'),
  // Bindings decide.
  allow: Object.fromEntries(TENANT_SERVICES.map((name) => [`strongroom.secrets.v1.${name}Service`, ['*']])),
  keys: peer(stack, 'keys'),
  audit: peer(stack, 'audit'),
  administrators: [operator],
  tokenKeyFile: keyFile('token.key'),
  // Short, so that a purge can be watched.
  retention: { default: '3s', minimum: '1s', maximum: '90d' },
  rekeyAfterPurge: null,
  rekeyKeepFor: '0s',
  rotationMinimum: '1s',
});

const workerOf = (stack: Stack): z.input<typeof workerConfig> => ({
  ...common(stack, 'worker'),
  allow: {},
  keys: peer(stack, 'keys'),
  audit: peer(stack, 'audit'),
});

const migrateOf = (stack: Stack, service: Service): z.input<typeof migrateConfig> => ({
  database: { ...databaseOf(stack, service, OWNER_ROLE, 'owner'), poolSize: 2 },
  log: { level: 'warn' },
});

export const writeConfigs = (stack: Stack): void => {
  mkdirSync(folderOf(stack), { recursive: true });
  for (const name of ['audit-signing.key', 'token.key']) ensureKeyFile(join(stack.state, name));
  mkdirSync(join(stack.state, 'master-keys'), { recursive: true, mode: 0o700 });
  const configs: Record<Service, unknown> = { audit: auditOf(stack), keys: keysOf(stack), store: storeOf(stack), worker: workerOf(stack) };
  const write = (file: string, config: unknown) => writeIfChanged(file, `${JSON.stringify(config, undefined, 2)}\n`);
  for (const service of SERVICES) {
    write(configFileOf(stack, service), configs[service]);
    write(migrateFileOf(stack, service), migrateOf(stack, service));
  }
};
