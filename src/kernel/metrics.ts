// The one place that declares metrics. Names follow gRPC's own (gRFC A66); no label ever holds a resource or a tenant.
import { createServer } from 'node:http';
import { collectDefaultMetrics, Counter, Gauge, Histogram, register } from 'prom-client';
import type { Log } from './log.ts';

const SECONDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

export const metrics = {
  serverCalls: new Histogram({
    name: 'grpc_server_call_duration_seconds',
    help: 'Calls answered, by method and status',
    labelNames: ['grpc_method', 'grpc_status'],
    buckets: SECONDS,
  }),
  refusedCalls: new Counter({
    name: 'strongroom_refused_calls_total',
    help: 'Calls that never reached a handler, by cause',
    labelNames: ['cause'],
  }),
  limitedCalls: new Counter({
    name: 'strongroom_limited_calls_total',
    help: 'Calls refused because of a rate or a quota, by limit',
    labelNames: ['limit'],
  }),
  handshakeFailures: new Counter({ name: 'strongroom_tls_handshake_failures_total', help: 'Connections that failed mutual TLS' }),
  outboxAge: new Gauge({ name: 'strongroom_outbox_oldest_seconds', help: 'Age of the oldest event that the audit log has not taken' }),
  keyCache: new Counter({ name: 'strongroom_scope_key_cache_total', help: 'Scope key lookups, by result', labelNames: ['result'] }),
  keyEventsOverdue: new Counter({
    name: 'strongroom_key_events_overdue_total',
    help: 'Key events that a service has not acknowledged in time',
  }),
  auditBatch: new Histogram({
    name: 'strongroom_audit_batch_entries',
    help: 'Entries per committed batch',
    buckets: [1, 4, 16, 64, 256, 1024],
  }),
  auditWriter: new Gauge({ name: 'strongroom_audit_writer', help: '1 in the process that writes the audit log, 0 in a standby' }),
  auditClockSkew: new Gauge({
    name: 'strongroom_audit_clock_skew_seconds',
    help: 'How far the clock of record times is from that of the database, or behind the newest entry',
  }),
  auditChecked: new Counter({ name: 'strongroom_audit_checked_entries_total', help: 'Entries that the audit log has hashed again' }),
  auditMismatches: new Counter({
    name: 'strongroom_audit_mismatches_total',
    help: 'Entries, tiles and roots of the audit log that are not what was written',
  }),
  witnessRequests: new Counter({
    name: 'strongroom_witness_requests_total',
    help: 'Checkpoints sent to witnesses, by result',
    labelNames: ['result'],
  }),
  cosignedSize: new Gauge({
    name: 'strongroom_cosigned_size',
    help: 'Entries under the newest checkpoint that the witnesses have cosigned',
  }),
  auditDropped: new Counter({
    name: 'strongroom_audit_dropped_attributes_total',
    help: 'Attributes that were left out of audit entries, because their action does not list them',
  }),
  purgeRows: new Counter({ name: 'strongroom_purge_rows_total', help: 'Rows removed by purges, by kind', labelNames: ['kind'] }),
  purgeLag: new Gauge({
    name: 'strongroom_purge_lag_seconds',
    help: 'For how long the oldest purge that is due and not begun has been due',
  }),
  expiryLag: new Gauge({
    name: 'strongroom_expiry_lag_seconds',
    help: 'For how long the oldest expired secret or version, which no purge has been scheduled for, has been expired',
  }),
  expired: new Counter({ name: 'strongroom_expired_total', help: 'Secrets and versions that have expired' }),
  rotationLag: new Gauge({ name: 'strongroom_rotation_lag_seconds', help: 'For how long the oldest rotation has been due' }),
  versionsTrimmed: new Counter({
    name: 'strongroom_versions_trimmed_total',
    help: 'Versions that were kept no longer, by cause',
    labelNames: ['cause'],
  }),
  trimLag: new Gauge({
    name: 'strongroom_trim_lag_seconds',
    help: 'For how long the first secret whose versions are to be trimmed has been waiting',
  }),
  purges: new Counter({ name: 'strongroom_purges_total', help: 'Purges, by result', labelNames: ['result'] }),
};

/** Serves the metrics over plain HTTP at /metrics. */
export const serveMetrics = async (listen: { host: string; port: number }, log: Log): Promise<AsyncDisposable> => {
  collectDefaultMetrics();
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    register.metrics().then(
      (text) => response.writeHead(200, { 'content-type': register.contentType }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen.port, listen.host, resolve);
  });
  log.info({ address: `${listen.host}:${listen.port}` }, 'serving metrics');
  return {
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
