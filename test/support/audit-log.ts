// The audit log as a test reads it: whole answers instead of pages, and waiting for what arrives through an outbox.
import { vi } from 'vitest';
import type { Entry, ListEntriesRequest } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import type { Clients } from './clients.ts';

type Filter = Partial<Pick<ListEntriesRequest, 'action' | 'resource' | 'correlationId' | 'principal' | 'outcome' | 'instanceUid'>>;

/** All entries that a filter finds from this index on, oldest first. */
export const entriesOf = async (auditor: Clients, filter: Filter, from = 0n): Promise<Entry[]> => {
  const found: Entry[] = [];
  for (let pageToken = ''; ;) {
    const page = await auditor.auditLog.listEntries({ ...filter, minIndex: from, pageSize: 1_000, pageToken });
    found.push(...page.entries);
    pageToken = page.nextPageToken;
    if (pageToken === '') return found.toReversed();
  }
};

/** The entries of one call, once there are this many. */
export const entriesOfCall = (auditor: Clients, correlationId: string, count = 1): Promise<Entry[]> =>
  vi.waitFor(
    async () => {
      const entries = await entriesOf(auditor, { correlationId });
      if (entries.length < count) throw new Error(`of ${count} entries of call ${correlationId} there are ${entries.length}`);
      return entries;
    },
    { timeout: 10_000, interval: 50 },
  );

/** How many entries there are now. */
export const sizeOf = async (auditor: Clients): Promise<bigint> => (await auditor.auditLog.getCheckpoint({})).treeSize;
