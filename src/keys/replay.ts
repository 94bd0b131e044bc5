// Makes destructions and revocations again that a restored database has forgotten: before the first call is served, all that the
// audit log has recorded of them since the index that this database knows to be confirmed. Without the log nothing is served, rather than
// keys that are to be gone. Also when the database goes back under a running service, by its epoch.
import { setTimeout as sleep } from 'node:timers/promises';
import { Event_Outcome, type AuditServiceService, ListEntriesRequest } from '../gen/strongroom/audit/v1/audit_service.ts';
import type { Auditor } from '../kernel/audit.ts';
import type { ClientOf } from '../kernel/client.ts';
import { AppError } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import { describe, type Log } from '../kernel/log.ts';
import { APPLY, disable, STATES, type Applying, type Recorded } from './replay-actions.ts';
import { raiseConfirmed, selectConfirmed, setConfirmed } from './sql/confirmed.ts';
import { selectEpoch } from './sql/scopes.ts';

const PAGE = 500;
const CALL_MS = 5_000;
const RETRY_MS = 1_000;
/** While running: how often the index is worth a write. */
const RAISE_EVERY_MS = 10_000;

export interface ReplayOptions extends Applying {
  auditLog: Pick<ClientOf<typeof AuditServiceService>, 'listEntries'>;
  /** Whose entries count. */
  self: SpiffeId;
  log: Log;
}

export interface Replay extends AsyncDisposable {
  /** Throws UNAVAILABLE until all that was destroyed is destroyed again. */
  assertDone(): void;
  /** Asks the database for its epoch; one below what is known means that destructions are missing. Throws as `assertDone` does. */
  askEpoch(): Promise<bigint>;
  /** After a destruction made here. */
  raised(epoch: bigint): void;
  /** The auditor, watched: where its entries come to stand tells what needs no second look. */
  watch(auditor: Auditor): Auditor;
  /** Called each time it is done. */
  onDone(listener: () => void): void;
}

const higher = (a: bigint, b: bigint): bigint => (a > b ? a : b);

const list = async ({ auditLog }: ReplayOptions, filter: Partial<ListEntriesRequest>) =>
  auditLog.listEntries(ListEntriesRequest.fromPartial(filter), { deadline: Date.now() + CALL_MS });

const pruned = (from: bigint, below: bigint): Error =>
  new Error(
    `the audit log has no bodies of the entries from ${from} to ${below} any more, and this database does not know what was destroyed there (docs/operations.md)`,
  );

/** Pages of what this service has recorded of an action, from the newest back to the index `from`. */
async function* recorded(options: ReplayOptions, action: string, from: bigint): AsyncGenerator<Recorded[]> {
  for (let pageToken = ''; ;) {
    const page = await list(options, { action, minIndex: from, pageSize: PAGE, pageToken });
    if (page.prunedBelow > from) throw pruned(from, page.prunedBelow);
    yield page.entries.flatMap(({ index, source, event, recordTime }): Recorded[] =>
      source === options.self && event?.outcome === Event_Outcome.SUCCESS ? [{ index, attributes: event.attributes, recordTime }] : [],
    );
    if (page.nextPageToken === '') return;
    ({ nextPageToken: pageToken } = page);
  }
}

const replayAction = async (options: ReplayOptions, action: keyof typeof APPLY, from: bigint): Promise<number> => {
  let applied = 0;
  for await (const page of recorded(options, action, from)) if (page.length > 0) applied += await APPLY[action](options, page);
  return applied;
};

/** Root keys whose newest change of state has taken them away are disabled, and those that were given back after that left as they are. */
const replayStates = async (options: ReplayOptions, from: bigint): Promise<number> => {
  const newest = new Map<string, { index: bigint; takesAway: boolean }>();
  for (const [action, takesAway] of Object.entries(STATES))
    for await (const page of recorded(options, action, from))
      for (const { index, attributes } of page) {
        const key = attributes.get('key') ?? '';
        if (index > (newest.get(key)?.index ?? -1n)) newest.set(key, { index, takesAway });
      }
  const takenAway = [...newest].filter(([, change]) => change.takesAway).map(([key]) => key);
  return takenAway.length === 0 ? 0 : disable(options, takenAway);
};

const replayAll = async (options: ReplayOptions): Promise<void> => {
  const { db, log } = options;
  const confirmed = await selectConfirmed(db.read);
  // What comes later than this newest entry is of changes to this very database.
  const [newest] = (await list(options, { pageSize: 1 })).entries;
  const size = newest ? newest.index + 1n : 0n;
  if (size < confirmed)
    log.warn({ index: String(confirmed) }, 'the audit log is shorter than it was; all of its destructions are made again');
  const from = size < confirmed ? 0n : confirmed;
  let applied = 0;
  for (const action of Object.keys(APPLY) as (keyof typeof APPLY)[]) applied += await replayAction(options, action, from);
  applied += await replayStates(options, from);
  if (applied > 0) log.warn({ count: applied }, 'this database is a restored one: what had been destroyed or revoked since is so again');
  await setConfirmed(db.read, size);
};

export const openReplay = async (options: ReplayOptions): Promise<Replay> => {
  const { db, log } = options;
  const stop = new AbortController();
  const listeners: (() => void)[] = [];
  let epoch = 0n;
  let isDone = false;
  let running: Promise<void> | undefined;
  let raisedAt = performance.now();

  const attempt = async (): Promise<boolean> => {
    try {
      await replayAll(options);
      isDone = true;
      listeners.forEach((listener) => listener());
      return true;
    } catch (error) {
      log.warn({ error: describe(error) }, 'what was destroyed cannot be checked with the audit log; nothing is served until then');
      return false;
    }
  };
  const begin = async (): Promise<void> => {
    while (!stop.signal.aborted && !isDone)
      if (!(await attempt())) await sleep(RETRY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
    running = undefined;
  };
  const raise = (index: bigint): void => {
    if (!isDone || performance.now() - raisedAt < RAISE_EVERY_MS) return;
    raisedAt = performance.now();
    raiseConfirmed(db.read, index, epoch).catch((error: unknown) =>
      log.warn({ error: describe(error) }, 'the confirmed index stays behind'),
    );
  };
  const assertDone = (): void => {
    if (!isDone)
      throw new AppError(
        'AUDIT_UNAVAILABLE',
        'the key service is making sure, with the audit log, that what was destroyed stays so; try again',
      );
  };

  // Once before anything is served, so that a healthy start is healthy at once.
  if (!(await attempt())) running = begin();
  return {
    assertDone,
    askEpoch: async () => {
      const known = epoch;
      const asked = await selectEpoch(db.read);
      if (asked < known) {
        log.error({ index: String(asked) }, 'the database has gone back to an earlier state');
        isDone = false;
        epoch = 0n;
        running ??= begin();
      }
      assertDone();
      epoch = higher(epoch, asked);
      return asked;
    },
    raised: (now) => void (epoch = higher(epoch, now)),
    watch: (auditor) => ({
      append: async (events, deadline) => {
        const indexes = await auditor.append(events, deadline);
        const last = indexes.reduce(higher, -1n);
        if (last >= 0n) raise(last + 1n);
        return indexes;
      },
    }),
    onDone: (listener) => {
      listeners.push(listener);
      if (isDone) listener();
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await running;
    },
  };
};
