// Clients for tests: promises instead of callbacks, requests with only the fields that matter, and refusals as they
// came over the wire, details decoded.
import { Client, credentials, Metadata, status, type ChannelOptions, type ServiceError } from '@grpc/grpc-js';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContextOptions } from 'node:tls';
import { addressOf, tlsFilesOf, type Caller, type Service, type Stack } from '../../src/dev/stack.ts';
import { BadRequest, ErrorInfo, RetryInfo } from '../../src/gen/google/rpc/error_details.ts';
import { Status } from '../../src/gen/google/rpc/status.ts';
import { HealthService } from '../../src/gen/grpc/health/v1/health.ts';
import { AuditAdminServiceService } from '../../src/gen/strongroom/audit/v1/audit_admin_service.ts';
import { AuditServiceService } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { AuditWriterServiceService } from '../../src/gen/strongroom/audit/v1/audit_writer_service.ts';
import { EnvelopeServiceService } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { GrantServiceService } from '../../src/gen/strongroom/keys/v1/grant_service.ts';
import { KeyEventServiceService } from '../../src/gen/strongroom/keys/v1/key_event_service.ts';
import { ImportServiceService } from '../../src/gen/strongroom/keys/v1/import_service.ts';
import { KeyRingServiceService } from '../../src/gen/strongroom/keys/v1/key_ring_service.ts';
import { KeyServiceService } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { KeyVersionServiceService } from '../../src/gen/strongroom/keys/v1/key_version_service.ts';
import { RegistrationServiceService } from '../../src/gen/strongroom/keys/v1/registration_service.ts';
import { ScopeServiceService } from '../../src/gen/strongroom/keys/v1/scope_service.ts';
import { AuthorizationServiceService } from '../../src/gen/strongroom/secrets/v1/authorization_service.ts';
import { BindingServiceService } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { HoldServiceService } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { InstanceServiceService } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { LimitServiceService } from '../../src/gen/strongroom/secrets/v1/limit_service.ts';
import { PurgeServiceService } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { SecretAccessServiceService } from '../../src/gen/strongroom/secrets/v1/secret_access_service.ts';
import { SecretGroupServiceService } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { SecretMoveServiceService } from '../../src/gen/strongroom/secrets/v1/secret_move_service.ts';
import { SecretRotationServiceService } from '../../src/gen/strongroom/secrets/v1/secret_rotation_service.ts';
import { SecretLockServiceService } from '../../src/gen/strongroom/secrets/v1/secret_lock_service.ts';
import { SecretVersionAliasServiceService } from '../../src/gen/strongroom/secrets/v1/secret_version_alias_service.ts';
import { SecretServiceService } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { SecretWatchServiceService } from '../../src/gen/strongroom/secrets/v1/secret_watch_service.ts';
import type { MethodDefinition, RequestOf, ResponseOf, ServiceDefinition } from '../../src/kernel/table.ts';
import { secureContext } from '../../src/kernel/tls.ts';

export interface Options {
  /** How long the caller waits; 10 s unless given. */
  timeoutMs?: number;
  metadata?: Record<string, string>;
  signal?: AbortSignal;
}

/** Fields that are not given have their defaults. */
export type Unary<S extends ServiceDefinition> = {
  [M in keyof S as S[M]['responseStream'] extends true ? never : M]: (
    request: Partial<RequestOf<S[M]>>,
    options?: Options,
  ) => Promise<ResponseOf<S[M]>>;
};

/** A bare gRPC client with the given TLS material, for what no well-behaved client sends. */
export const connectWith = (address: string, material: SecureContextOptions, options: ChannelOptions = {}): Client =>
  new Client(address, credentials.createFromSecureContext(createSecureContext(material)), {
    'grpc.ssl_target_name_override': 'localhost',
    'grpc.default_authority': 'localhost',
    'grpc.enable_http_proxy': 0,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 500,
    'grpc.max_receive_message_length': 16 * 1024 * 1024,
    ...options,
  });

export const materialOf = (stack: Stack, name: Caller | Service): SecureContextOptions => {
  const { certFile, keyFile, caFile } = tlsFilesOf(stack, name);
  return secureContext({ ca: readFileSync(caFile), cert: readFileSync(certFile), key: readFileSync(keyFile) });
};

export const unary = <S extends ServiceDefinition>(client: Client, definition: S): Unary<S> => {
  const call =
    (method: ServiceDefinition[string]) =>
    (request: object, { timeoutMs = 10_000, metadata = {}, signal }: Options = {}): Promise<unknown> =>
      new Promise((resolve, reject) => {
        const headers = new Metadata();
        for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
        const empty = method.requestDeserialize(Buffer.alloc(0)) as object;
        const sent = client.makeUnaryRequest(
          method.path,
          method.requestSerialize as (value: unknown) => Buffer,
          method.responseDeserialize,
          { ...empty, ...request },
          headers,
          { deadline: Date.now() + timeoutMs },
          (error, reply) => (error ? reject(error) : resolve(reply)),
        );
        signal?.addEventListener('abort', () => sent.cancel(), { once: true });
      });
  return Object.fromEntries(Object.entries(definition).map(([name, method]) => [name, call(method)])) as unknown as Unary<S>;
};

/** The messages of a server stream, one after another; fails as the stream does. */
export const stream = <M extends MethodDefinition>(client: Client, method: M) =>
  async function* (
    request: Partial<RequestOf<M>>,
    { timeoutMs = 10_000, metadata = {}, signal }: Options = {},
  ): AsyncGenerator<ResponseOf<M>> {
    const headers = new Metadata();
    for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
    const empty = method.requestDeserialize(Buffer.alloc(0)) as object;
    const sent = client.makeServerStreamRequest(
      method.path,
      method.requestSerialize as (value: unknown) => Buffer,
      method.responseDeserialize,
      { ...empty, ...request },
      headers,
      { deadline: Date.now() + timeoutMs },
    );
    signal?.addEventListener('abort', () => sent.cancel(), { once: true });
    try {
      yield* sent as AsyncIterable<ResponseOf<M>>;
    } finally {
      sent.cancel();
    }
  };

/** All that one identity can call, allowed or not. */
export const clientsOf = (stack: Stack, name: Caller | Service) => {
  const material = materialOf(stack, name);
  const [store, keys, audit, worker] = (['store', 'keys', 'audit', 'worker'] as const).map((service) =>
    connectWith(addressOf(stack, service), material),
  ) as [Client, Client, Client, Client];
  return {
    instances: unary(store, InstanceServiceService),
    groups: unary(store, SecretGroupServiceService),
    secrets: unary(store, SecretServiceService),
    access: unary(store, SecretAccessServiceService),
    rotations: unary(store, SecretRotationServiceService),
    aliases: unary(store, SecretVersionAliasServiceService),
    locks: unary(store, SecretLockServiceService),
    bindings: unary(store, BindingServiceService),
    limits: unary(store, LimitServiceService),
    authorization: unary(store, AuthorizationServiceService),
    holds: unary(store, HoldServiceService),
    purges: unary(store, PurgeServiceService),
    moves: unary(store, SecretMoveServiceService),
    watchSecrets: stream(store, SecretWatchServiceService.watchSecrets),
    watchPurge: stream(store, PurgeServiceService.watchPurge),
    watchGroupRotation: stream(store, SecretGroupServiceService.watchSecretGroupKeyRotation),
    keys: unary(keys, KeyServiceService),
    keyVersions: unary(keys, KeyVersionServiceService),
    watchRotation: stream(keys, KeyVersionServiceService.watchRootKeyRotation),
    registrations: unary(keys, RegistrationServiceService),
    keyEvents: unary(keys, KeyEventServiceService),
    watchKeyEvents: stream(keys, KeyEventServiceService.watchKeyEvents),
    keyRings: unary(keys, KeyRingServiceService),
    grants: unary(keys, GrantServiceService),
    envelopes: unary(keys, EnvelopeServiceService),
    imports: unary(keys, ImportServiceService),
    scopes: unary(keys, ScopeServiceService),
    auditLog: unary(audit, AuditServiceService),
    exportLog: stream(audit, AuditServiceService.exportLog),
    tailEntries: stream(audit, AuditServiceService.tailEntries),
    auditWriter: unary(audit, AuditWriterServiceService),
    auditAdmin: unary(audit, AuditAdminServiceService),
    health: {
      store: unary(store, HealthService),
      keys: unary(keys, HealthService),
      audit: unary(audit, HealthService),
      worker: unary(worker, HealthService),
    },
    [Symbol.dispose]: () => [store, keys, audit, worker].forEach((client) => client.close()),
  };
};
export type Clients = ReturnType<typeof clientsOf>;

export interface Refusal {
  /** Name of the gRPC status code. */
  code: string;
  message: string;
  /** Of the ErrorInfo; empty if there is none. */
  reason: string;
  domain: string;
  metadata: Record<string, string>;
  /** Fields that the error names. */
  fields: string[];
  retryAfterMs: number | undefined;
}

export const decodeRefusal = (error: ServiceError): Refusal => {
  const [raw] = error.metadata?.get('grpc-status-details-bin') ?? [];
  const details = raw instanceof Buffer ? Status.decode(raw).details : [];
  const detail = (type: string) => details.find(({ typeUrl }) => typeUrl.endsWith(`/google.rpc.${type}`))?.value;
  const [info, bad, retry] = [detail('ErrorInfo'), detail('BadRequest'), detail('RetryInfo')];
  const errorInfo = info ? ErrorInfo.decode(info) : ErrorInfo.create();
  const delay = retry ? RetryInfo.decode(retry).retryDelay : undefined;
  return {
    code: status[error.code] ?? String(error.code),
    message: error.details,
    reason: errorInfo.reason,
    domain: errorInfo.domain,
    metadata: Object.fromEntries(errorInfo.metadata),
    fields: bad ? BadRequest.decode(bad).fieldViolations.map(({ field }) => field) : [],
    retryAfterMs: delay ? Number(delay.seconds) * 1_000 + delay.nanos / 1e6 : undefined,
  };
};

const isServiceError = (error: unknown): error is ServiceError => error instanceof Error && 'code' in error && 'details' in error;

/** What a call was refused with; a call that succeeds fails the test. */
export const refusalOf = async (call: Promise<unknown>): Promise<Refusal> => {
  const error = await call.then(
    () => new Error('the call should have been refused, and succeeded'),
    (thrown: unknown) => thrown,
  );
  if (!isServiceError(error)) throw error;
  return decodeRefusal(error);
};
