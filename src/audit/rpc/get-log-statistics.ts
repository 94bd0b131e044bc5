import type { GetLogStatisticsRequest, LogStatistics } from '../../gen/strongroom/audit/v1/audit_service.ts';
import type { Call } from '../../kernel/table.ts';
import type { Audit } from '../audit.ts';
import { checkWindow, parseInstanceUid } from '../filter.ts';
import { rangeOf } from '../range.ts';
import { within } from '../readers.ts';
import { countEntries, selectEnd } from '../sql/entries.ts';

/** What is counted anew by every call must be bounded. */
const MOST = 100_000;

export const getLogStatistics = async (audit: Audit, request: GetLogStatisticsRequest, call: Call): Promise<LogStatistics> => {
  const { startTime, endTime } = request;
  const instanceUid = parseInstanceUid(request.instanceUid);
  checkWindow(startTime, endTime);
  call.annotate({ instanceUid });
  const instances = within(await audit.readers.sees(call), instanceUid);
  // On a connection of its own: others must not wait for it.
  const { treeSize, counts } = await audit.db.transaction(async (tx) => ({
    treeSize: await selectEnd(tx),
    counts: await countEntries(tx, instances, await rangeOf(tx, startTime, endTime), MOST),
  }));
  const times = counts.flatMap((c) => [c.first_time.getTime(), c.last_time.getTime()]);
  const entryCount = counts.reduce((sum, { count }) => sum + count, 0n);
  return {
    treeSize,
    entryCount,
    firstTime: times.length > 0 ? new Date(Math.min(...times)) : undefined,
    lastTime: times.length > 0 ? new Date(Math.max(...times)) : undefined,
    counts: counts.map(({ action, outcome, count }) => ({ action, outcome, count })),
    truncated: entryCount === BigInt(MOST),
  };
};
