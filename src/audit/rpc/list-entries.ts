import type { ListEntriesRequest, ListEntriesResponse } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { invalid } from '../../kernel/errors.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Audit } from '../audit.ts';
import { toEntry } from '../messages.ts';
import { listEntries as select } from '../sql/entries.ts';
import { selectPrunedBelow } from '../sql/ranges.ts';

const ABOVE_ALL = 2n ** 63n - 1n;

export const listEntries = async (audit: Audit, request: ListEntriesRequest): Promise<ListEntriesResponse> => {
  if (request.resource.length > 512) throw invalid('resource', 'must be at most 512 characters');
  if (request.principal.length > 2048) throw invalid('principal', 'must be at most 2048 characters');
  if (request.correlationId.length > 64) throw invalid('correlation_id', 'must be at most 64 characters');
  if (request.action.length > 64) throw invalid('action', 'must be at most 64 characters');
  if (request.minIndex < 0n) throw invalid('min_index', 'must not be negative');
  const { items, nextPageToken } = await pageOf({
    tokens: audit.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['entries', request.resource, request.correlationId, request.principal, request.action, String(request.minIndex)],
    first: [String(ABOVE_ALL)],
    select: ([before = '0'], limit) => select(audit.db.read, request, BigInt(before), limit),
    cursor: (row) => [String(row.index)],
    item: toEntry,
  });
  // Asked after the entries, so that it is never too low for them.
  return { entries: items, nextPageToken, prunedBelow: await selectPrunedBelow(audit.db.read) };
};
