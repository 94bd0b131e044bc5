// THE table of the audit log: every RPC with its action, resource, audit mode, limits and handler. Start reading here.
import { AuditServiceService } from '../gen/strongroom/audit/v1/audit_service.ts';
import { AuditWriterServiceService } from '../gen/strongroom/audit/v1/audit_writer_service.ts';
import { METADATA_LIMITS as metadata, register, type Call, type Registration } from '../kernel/table.ts';
import type { Audit } from './audit.ts';
import { appendEvents } from './rpc/append-events.ts';
import { exportLog } from './rpc/export-log.ts';
import { getCheckpoint } from './rpc/get-checkpoint.ts';
import { getConsistencyProof } from './rpc/get-consistency-proof.ts';
import { getEntry } from './rpc/get-entry.ts';
import { getInclusionProof } from './rpc/get-inclusion-proof.ts';
import { listEntries } from './rpc/list-entries.ts';

const ingest = { requestBytes: 4 * 1024 * 1024, deadlineMs: 10_000 };
const exported = { requestBytes: 1024, longestMs: 10 * 60_000 };
const log = () => ({ name: 'log' });

export const registrations = (audit: Audit): Registration[] => {
  /** Handlers take the log first. */
  const run =
    <Request, Reply>(handler: (audit: Audit, request: Request, call: Call) => Promise<Reply>) =>
    (request: Request, call: Call): Promise<Reply> =>
      handler(audit, request, call);

  return [
    register(AuditWriterServiceService, {
      // The intake cannot log itself without end; what comes in is itself the entry.
      appendEvents: { action: 'audit.event.append', resource: log, audit: 'none', limits: ingest, handler: run(appendEvents) },
    }),
    register(AuditServiceService, {
      listEntries: {
        action: 'audit.entry.list',
        resource: (r) => ({ name: r.resource || 'log' }),
        audit: 'read',
        limits: metadata,
        handler: run(listEntries),
      },
      getEntry: {
        action: 'audit.entry.read',
        resource: (r) => ({ name: `log/${r.index}` }),
        audit: 'read',
        limits: metadata,
        handler: run(getEntry),
      },
      getCheckpoint: { action: 'audit.checkpoint.read', resource: log, audit: 'read', limits: metadata, handler: run(getCheckpoint) },
      getInclusionProof: {
        action: 'audit.proof.read',
        resource: (r) => ({ name: `log/${r.index}` }),
        audit: 'read',
        limits: metadata,
        handler: run(getInclusionProof),
      },
      getConsistencyProof: {
        action: 'audit.consistency.read',
        resource: log,
        audit: 'read',
        limits: metadata,
        handler: run(getConsistencyProof),
      },
      exportLog: {
        action: 'audit.log.export',
        resource: log,
        audit: 'read',
        limits: exported,
        handler: (request) => exportLog(audit, request),
      },
    }),
  ];
};
