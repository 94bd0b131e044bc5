import type { TailEntriesRequest, TailEntriesResponse } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { eventOf } from '../../kernel/audit.ts';
import { invalid } from '../../kernel/errors.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { parseFilter, parseInstanceUid } from '../filter.ts';
import { toEntry } from '../messages.ts';
import { OWN_ACTIONS } from '../own-actions.ts';
import { within } from '../readers.ts';
import { listEntries as select, selectEnd } from '../sql/entries.ts';

const PAGE = 256;
/** Of indexes that are looked at in one statement, whatever fits of them. */
const STRETCH = 10_000n;
/** How often the caller hears how far the stream has come, when nothing fits. */
const TELL_MS = 10_000;
const APPEND_MS = 5_000;

/** Nothing is read ahead: the next page is read when the caller has taken this one. */
export async function* tailEntries(audit: Audit, request: TailEntriesRequest, call: Call): AsyncGenerator<TailEntriesResponse> {
  const asked = parseFilter(request);
  const instanceUid = parseInstanceUid(request.instanceUid);
  const { startIndex } = request;
  if (startIndex !== undefined && startIndex < 0n) throw invalid('start_index', 'must not be negative');
  let next = startIndex ?? (await selectEnd(audit.db.read));
  call.annotate({ instanceUid, attributes: { startIndex: String(next) } });
  try {
    yield { entries: [], nextIndex: next };
    for (let told = performance.now(); !call.signal.aborted;) {
      const end = await selectEnd(audit.db.read);
      const stretch = { from: next, end: end < next + STRETCH ? end : next + STRETCH };
      const filter = { ...asked, instances: within(await audit.readers.sees(call), instanceUid) };
      const rows = end > next ? await select(audit.db.read, filter, stretch, PAGE, 'asc') : [];
      const last = rows.at(-1);
      if (end > next) next = rows.length === PAGE && last ? last.index + 1n : stretch.end;
      if (rows.length > 0 || performance.now() - told > TELL_MS) {
        yield { entries: rows.map(toEntry), nextIndex: next };
        told = performance.now();
      }
      if (next >= end) await audit.news.next(call.signal);
    }
  } finally {
    const ended = { as: OWN_ACTIONS['audit.entry.tail.end'], instanceUid, attributes: { endIndex: String(next) } };
    await audit.auditor.append([eventOf(call, ended)], Date.now() + APPEND_MS);
  }
}
