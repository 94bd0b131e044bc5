// One call of every RPC that keeps the audit log, each harmless to the log of the other tests.
import { randomUUID } from 'node:crypto';
import type { Clients, Options } from '../support/clients.ts';

type MakeCall = (as: Clients, on: unknown, options: Options) => Promise<unknown>;

export const AUDIT_ADMIN_CALLS: Readonly<Record<string, MakeCall>> = {
  'AuditAdminService/EraseFields': (as, _, o) =>
    as.auditAdmin.eraseFields({ instanceUid: randomUUID(), beforeTime: new Date(), validateOnly: true }, o),
  'AuditAdminService/GetRetentionPolicy': (as, _, o) => as.auditAdmin.getRetentionPolicy({}, o),
  'AuditAdminService/SetRetentionPolicy': (as, _, o) => as.auditAdmin.setRetentionPolicy({ bodyDays: 0 }, o),
  'AuditAdminService/PruneEntries': (as, _, o) => as.auditAdmin.pruneEntries({}, o),
  'AuditAdminService/GetLogStatus': (as, _, o) => as.auditAdmin.getLogStatus({}, o),
};
