// Serves tables: every row wrapped in the steps, the limits that the library lacks, health, reflection, and a stop that
// lets calls under way end.
import { Server, ServerCredentials, status, type ServiceDefinition } from '@grpc/grpc-js';
import { HealthImplementation } from 'grpc-health-check';
import type { Settings } from 'node:http2';
import { openAllowlist } from './allowlist.ts';
import { eventOf, type Auditor } from './audit.ts';
import type { ServerConfig } from './config.ts';
import { AppError } from './errors.ts';
import { decoder, unaryHandler } from './handlers.ts';
import { openListener, type Listener } from './listener.ts';
import { describe, type Log } from './log.ts';
import { metrics, serveMetrics } from './metrics.ts';
import { addReflection } from './reflection.ts';
import { watchRefused, type Refused } from './refused.ts';
import { compose } from './steps.ts';
import { openStreams } from './stream.ts';
import { REFUSED, type Admit, type Authorize, type Registration, type Row, type StreamRow } from './table.ts';
import type { Tls } from './tls.ts';
import { newUid } from './uid.ts';
import { answerUnknown } from './unknown.ts';

export interface ServeOptions {
  config: ServerConfig;
  log: Log;
  tls: Tls;
  registrations: readonly Registration[];
  authorize: Authorize;
  admit?: Admit;
  auditor: Auditor;
  /** Rejects while something this service needs is out of reach; health then says NOT_SERVING. */
  ready: () => Promise<void>;
}

const LIMITS = {
  'grpc.max_concurrent_streams': 256,
  // Above the largest limit of any row, so that a message that is too large gets an error of ours, not the library's.
  'grpc.max_receive_message_length': 8 * 1024 * 1024,
  'grpc.max_connection_age_ms': 10 * 60_000,
  'grpc.max_connection_age_grace_ms': 60_000,
  'grpc.max_connection_idle_ms': 15 * 60_000,
  'grpc.keepalive_time_ms': 60_000,
  'grpc.keepalive_timeout_ms': 20_000,
  'grpc.enable_channelz': 0,
} as const;
/** What the library has no option for, and Node no sane default. */
const HEADER_LIST_BYTES = 16 * 1024;
const HEALTH_EVERY_MS = 1_000;
const BODY_MS = 10_000;

const CAUSES: Readonly<Record<number, string>> = {
  [status.UNIMPLEMENTED]: 'unknown_method',
  [status.RESOURCE_EXHAUSTED]: 'too_large',
  [status.DEADLINE_EXCEEDED]: 'slow_body',
  [status.PERMISSION_DENIED]: 'permission_denied',
};

/** What was refused before the steps still gets its line, and its entry where the caller is known. */
const reportRefused =
  ({ log, auditor }: ServeOptions, listener: Listener) =>
  (refused: Refused): void => {
    const connection = listener.connection(refused.peer);
    const cause = CAUSES[refused.code] ?? 'malformed';
    metrics.refusedCalls.inc({ cause });
    log.info({ method: refused.method, address: refused.peer, reason: cause }, 'call refused');
    if (!connection || connection.identity instanceof AppError) return;
    const call = {
      row: REFUSED,
      principal: connection.identity,
      credentialId: connection.credentialId,
      resource: refused.method,
      correlationId: newUid(),
      traceId: '',
      sourceAddress: connection.address,
    };
    const outcome = refused.code === status.PERMISSION_DENIED ? 'DENIED' : 'FAILURE';
    auditor
      .append([eventOf(call, { outcome, code: refused.code, reason: cause.toUpperCase() })], Date.now() + 5_000)
      .catch((error: unknown) => log.warn({ error: describe(error) }, 'a refused call could not be recorded'));
  };

const watchHealth = (health: HealthImplementation, services: readonly string[], ready: ServeOptions['ready'], log: Log) => {
  let serving = true;
  const set = (now: boolean): void => {
    for (const service of ['', ...services]) health.setStatus(service, now ? 'SERVING' : 'NOT_SERVING');
    if (now !== serving) log.info({ state: now ? 'SERVING' : 'NOT_SERVING' }, 'health changed');
    serving = now;
  };
  const check = (): Promise<void> =>
    ready().then(
      () => set(true),
      () => set(false),
    );
  const timer = setInterval(() => void check(), HEALTH_EVERY_MS);
  return {
    check,
    stop: () => {
      clearInterval(timer);
      set(false);
    },
  };
};

/** The settings of the library's HTTP/2 server, which it makes with the injector. No option leads there; a test notices if this does not either. */
const limitHeaders = (server: Server): void => {
  const inner = server as unknown as { commonServerOptions: { settings: Settings } };
  inner.commonServerOptions.settings = { ...inner.commonServerOptions.settings, maxHeaderListSize: HEADER_LIST_BYTES };
};

/** How long the body of a request may take: as long as the call itself, but a stream. Reflection is a conversation, without end. */
const bodyLimits = (registrations: readonly Registration[]): ((path: string) => number | undefined) => {
  const byPath = new Map(
    registrations.flatMap(({ definition, table }) =>
      Object.entries(definition).map(([name, { path }]) => {
        const limits = table[name]?.limits;
        return [path, limits && 'deadlineMs' in limits ? limits.deadlineMs : BODY_MS] as const;
      }),
    ),
  );
  return (path) => (path.startsWith('/grpc.reflection.') ? undefined : (byPath.get(path) ?? BODY_MS));
};

export const serve = async (options: ServeOptions): Promise<{ port: number } & AsyncDisposable> => {
  const { config, log, tls, registrations } = options;
  const server = new Server(LIMITS);
  const next = compose({ ...options, allowed: openAllowlist(config.allow, registrations) });
  let listener: Listener;
  const connectionOf = (peer: string) => listener.connection(peer);
  const streams = openStreams(next, options.auditor, connectionOf);

  for (const { definition, table } of registrations) {
    const entries = Object.entries(definition).map(([name, method]) => {
      const row = table[name];
      if (!row) throw new Error(`no row for ${method.path}`);
      return {
        name,
        method: { ...method, requestDeserialize: decoder(method, row) },
        handler: method.responseStream
          ? streams.handler(method.path, row as StreamRow<unknown, unknown>)
          : unaryHandler(method.path, row as Row<unknown, unknown>, next, connectionOf),
      };
    });
    const methods = Object.fromEntries(entries.map((e) => [e.name, e.method])) as unknown as ServiceDefinition;
    server.addService(methods, Object.fromEntries(entries.map((e) => [e.name, e.handler])));
  }
  answerUnknown(server, (method, row) => unaryHandler(method, row, next, connectionOf));
  const services = registrations.map((r) => r.service);
  const health = new HealthImplementation(Object.fromEntries(['', ...services].map((s) => [s, 'NOT_SERVING'] as const)));
  health.addToServer(server);
  const readers = new Set<unknown>(config.reflection);
  addReflection(server, [...services, 'grpc.health.v1.Health'], (peer) => readers.has(listener.connection(peer)?.identity));

  const shown = config.metrics && (await serveMetrics(config.metrics, log));
  limitHeaders(server);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  listener = await openListener({ ...config, tls, log, accept: (socket) => injector.injectConnection(socket) });
  const { port } = listener;
  const unwatch = watchRefused({ port, bodyMs: bodyLimits(registrations), onRefused: reportRefused(options, listener) });
  const watch = watchHealth(health, services, options.ready, log);
  await watch.check();
  log.info({ address: `${config.listen.host}:${port}` }, 'serving');

  return {
    port,
    [Symbol.asyncDispose]: async () => {
      watch.stop();
      streams.close();
      // The library's own wait is none: it takes a connection that it has told to end for one that has ended.
      const drained = listener.close(config.drain);
      server.tryShutdown(() => undefined);
      injector.destroy();
      await drained;
      unwatch();
      await shown?.[Symbol.asyncDispose]();
    },
  };
};
