import type { ListEntriesRequest, ListEntriesResponse } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { invalid } from '../../kernel/errors.ts';
import { pageOf } from '../../kernel/page.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { checkWindow, parseFilter, parseInstanceUid } from '../filter.ts';
import { toEntry } from '../messages.ts';
import { rangeOf } from '../range.ts';
import { within } from '../readers.ts';
import { listEntries as select } from '../sql/entries.ts';
import { selectPrunedBelow } from '../sql/ranges.ts';

export const listEntries = async (audit: Audit, request: ListEntriesRequest, call: Call): Promise<ListEntriesResponse> => {
  const { minIndex, startTime, endTime, oldestFirst } = request;
  const asked = parseFilter(request);
  const instanceUid = parseInstanceUid(request.instanceUid);
  if (minIndex < 0n) throw invalid('min_index', 'must not be negative');
  checkWindow(startTime, endTime);
  call.annotate({ instanceUid });

  const filter = { ...asked, instances: within(await audit.readers.sees(call), instanceUid) };
  const window = await rangeOf(audit.db.read, startTime, endTime);
  const from = window.from > minIndex ? window.from : minIndex;
  const binding = { ...asked, instanceUid, minIndex: String(minIndex), startTime, endTime, oldestFirst };
  const { items, nextPageToken } = await pageOf({
    tokens: audit.pages,
    size: request.pageSize,
    token: request.pageToken,
    binding: ['entries', JSON.stringify(binding)],
    first: [],
    select: ([last], limit) => {
      if (oldestFirst)
        return select(audit.db.read, filter, { ...window, from: last === undefined ? from : BigInt(last) + 1n }, limit, 'asc');
      return select(audit.db.read, filter, { from, end: last === undefined ? window.end : BigInt(last) }, limit, 'desc');
    },
    cursor: (row) => [String(row.index)],
    item: toEntry,
  });
  // Asked after the entries, so that it is never too low for them.
  return { entries: items, nextPageToken, prunedBelow: await selectPrunedBelow(audit.db.read) };
};
