// THE table of the audit log: every RPC with its action, resource, audit mode, limits and handler. Start reading here.
import { AuditAdminServiceService } from '../gen/strongroom/audit/v1/audit_admin_service.ts';
import { AuditServiceService } from '../gen/strongroom/audit/v1/audit_service.ts';
import { AuditWriterServiceService } from '../gen/strongroom/audit/v1/audit_writer_service.ts';
import { METADATA_LIMITS as metadata, register, type Call, type Registration, type StreamLimits } from '../kernel/table.ts';
import type { AuditAdmin } from './audit.ts';
import type { Guarded } from './readers.ts';
import { POLICY } from './retention.ts';
import { appendEvents } from './rpc/append-events.ts';
import { eraseFields } from './rpc/erase-fields.ts';
import { exportLog } from './rpc/export-log.ts';
import { getCheckpoint } from './rpc/get-checkpoint.ts';
import { getConsistencyProof } from './rpc/get-consistency-proof.ts';
import { getEntry } from './rpc/get-entry.ts';
import { getInclusionProof } from './rpc/get-inclusion-proof.ts';
import { getLogStatistics } from './rpc/get-log-statistics.ts';
import { getLogStatus } from './rpc/get-log-status.ts';
import { getRetentionPolicy } from './rpc/get-retention-policy.ts';
import { listEntries } from './rpc/list-entries.ts';
import { pruneEntries } from './rpc/prune-entries.ts';
import { setRetentionPolicy } from './rpc/set-retention-policy.ts';
import { tailEntries } from './rpc/tail-entries.ts';

const ingest = { requestBytes: 4 * 1024 * 1024, deadlineMs: 10_000 };
const follow: StreamLimits = { requestBytes: metadata.requestBytes, longestMs: 10 * 60_000 };
/** A million bodies are read and hashed before they go. */
const long = { requestBytes: 1024, deadlineMs: 10 * 60_000 };
const log = () => ({ name: 'log' });
const policy = () => ({ name: POLICY });
/** Also auditors of instances read here; their handlers show them no more than what belongs to those. */
const forReaders = (name: string): Guarded => ({ name, forReaders: true });
const forWholeLog: Guarded = { name: 'log', forWholeLog: true };

export const registrations = (audit: AuditAdmin): Registration[] => {
  /** Handlers take the log first. */
  const run =
    <Request, Reply>(handler: (audit: AuditAdmin, request: Request, call: Call) => Reply) =>
    (request: Request, call: Call): Reply =>
      handler(audit, request, call);

  return [
    register(AuditWriterServiceService, {
      // The intake cannot log itself without end; what comes in is itself the entry.
      appendEvents: { action: 'audit.event.append', resource: log, audit: 'none', facts: [], limits: ingest, handler: run(appendEvents) },
    }),
    register(AuditServiceService, {
      listEntries: {
        action: 'audit.entry.list',
        resource: (r) => forReaders(r.resource || 'log'),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(listEntries),
      },
      tailEntries: {
        action: 'audit.entry.tail',
        resource: (r) => forReaders(r.resource || 'log'),
        audit: 'read',
        facts: ['startIndex'],
        limits: follow,
        handler: run(tailEntries),
      },
      getLogStatistics: {
        action: 'audit.entry.count',
        resource: () => forReaders('log'),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getLogStatistics),
      },
      getEntry: {
        action: 'audit.entry.read',
        resource: (r) => forReaders(`log/${r.index}`),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getEntry),
      },
      getCheckpoint: {
        action: 'audit.checkpoint.read',
        resource: () => forReaders('log'),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getCheckpoint),
      },
      getInclusionProof: {
        action: 'audit.proof.read',
        resource: (r) => forReaders(`log/${r.index}`),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getInclusionProof),
      },
      getConsistencyProof: {
        action: 'audit.consistency.read',
        resource: () => forReaders('log'),
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getConsistencyProof),
      },
      exportLog: {
        action: 'audit.log.export',
        resource: () => forWholeLog,
        audit: 'read',
        facts: [],
        limits: follow,
        handler: (request) => exportLog(audit, request),
      },
    }),
    register(AuditAdminServiceService, {
      // Mode `write` without an outbox: handlers append the entries of a change themselves.
      eraseFields: {
        action: 'audit.field.erase',
        resource: log,
        audit: 'write',
        facts: ['fields', 'indexes', 'count', 'validateOnly'],
        limits: metadata,
        handler: run(eraseFields),
      },
      getRetentionPolicy: {
        action: 'audit.policy.read',
        resource: policy,
        audit: 'read',
        facts: [],
        limits: metadata,
        handler: run(getRetentionPolicy),
      },
      setRetentionPolicy: {
        action: 'audit.policy.update',
        resource: policy,
        audit: 'write',
        facts: ['bodyDays', 'bodyDaysBefore'],
        limits: metadata,
        handler: run(setRetentionPolicy),
      },
      pruneEntries: {
        action: 'audit.entry.prune',
        resource: log,
        audit: 'write',
        facts: ['count', 'validateOnly'],
        limits: long,
        handler: run(pruneEntries),
      },
      getLogStatus: { action: 'audit.log.read', resource: log, audit: 'read', facts: [], limits: metadata, handler: run(getLogStatus) },
    }),
  ];
};
