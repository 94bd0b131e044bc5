// THE table of the audit log: every RPC with its action, resource, audit mode, limits and handler. Start reading here.
import { AuditServiceService } from '../gen/strongroom/audit/v1/audit_service.ts';
import { AuditWriterServiceService } from '../gen/strongroom/audit/v1/audit_writer_service.ts';
import { METADATA_LIMITS as metadata, register, type Call, type Registration, type StreamLimits } from '../kernel/table.ts';
import type { Audit } from './audit.ts';
import type { Guarded } from './readers.ts';
import { appendEvents } from './rpc/append-events.ts';
import { exportLog } from './rpc/export-log.ts';
import { getCheckpoint } from './rpc/get-checkpoint.ts';
import { getConsistencyProof } from './rpc/get-consistency-proof.ts';
import { getEntry } from './rpc/get-entry.ts';
import { getInclusionProof } from './rpc/get-inclusion-proof.ts';
import { getLogStatistics } from './rpc/get-log-statistics.ts';
import { listEntries } from './rpc/list-entries.ts';
import { tailEntries } from './rpc/tail-entries.ts';

const ingest = { requestBytes: 4 * 1024 * 1024, deadlineMs: 10_000 };
const follow: StreamLimits = { requestBytes: metadata.requestBytes, longestMs: 10 * 60_000 };
const log = () => ({ name: 'log' });
/** Also auditors of instances read here; their handlers show them no more than what belongs to those. */
const forReaders = (name: string): Guarded => ({ name, forReaders: true });
const forWholeLog: Guarded = { name: 'log', forWholeLog: true };

export const registrations = (audit: Audit): Registration[] => {
  /** Handlers take the log first. */
  const run =
    <Request, Reply>(handler: (audit: Audit, request: Request, call: Call) => Reply) =>
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
  ];
};
