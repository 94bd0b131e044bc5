// Who watches secrets here: one reader of the feed of changes for all of them, each with what has come for it and was not taken yet, in
// bounds. Changes of other replicas tell nobody, so this looks again and again, and not at all while nobody watches.
import { setImmediate } from 'node:timers/promises';
import type { Db } from '../kernel/db.ts';
import { describe, type Log } from '../kernel/log.ts';
import { openLoop } from '../kernel/loop.ts';
import { advance, needsNext, settledTo, type Position } from './change-feed.ts';
import { selectChanges, selectHead, type ChangeRow, type Watched } from './sql/changes.ts';

const EVERY_MS = 100;
const IDLE_MS = 60_000;
const LOOK_ROWS = 5_000;
/** What is under way when the first one comes to watch is of the last so many. */
const UNDER_WAY = 1_000n;
/** After so long a watcher is told that there is nothing. */
const TELL_MS = 30_000;
const SLICE = 200;
/** Changes that wait for a watcher to take them; one more, and all that it is told is that it has missed some. */
export const MOST_WAITING = 1_000;

export interface News {
  readonly changes: readonly ChangeRow[];
  /** Some were missed. */
  readonly isResync: boolean;
  /** Where to go on after these. */
  readonly settled: bigint;
}

/** Resolves at once for the first time, then when there are changes, or after a while; with nothing at the end of the call. */
export type NextNews = () => Promise<News>;

export interface Watchers extends AsyncDisposable {
  /** From now on until the signal. `secretIds` are those of interest; null for all. */
  watch(group: Watched, secretIds: readonly string[] | null, signal: AbortSignal): NextNews;
}

interface Entry {
  readonly group: Watched;
  readonly wanted: ReadonlySet<string> | null;
  waiting: ChangeRow[];
  isResync: boolean;
  toldAt: number;
  wake: (() => void) | undefined;
}

const concerns = ({ group, wanted }: Entry, change: ChangeRow): boolean => {
  if (change.instance_uid !== group.instance_uid || (change.group_uid ?? group.group_uid) !== group.group_uid) return false;
  return !wanted || change.secret_id === null || wanted.has(change.secret_id);
};

const hasNews = ({ waiting, isResync }: Entry): boolean => waiting.length > 0 || isResync;

const miss = (entry: Entry): void => {
  entry.waiting = [];
  entry.isResync = true;
};

const add = (entry: Entry, change: ChangeRow): void => {
  if (!entry.isResync && entry.waiting.length === MOST_WAITING) miss(entry);
  if (!entry.isResync) entry.waiting.push(change);
};

export const openWatchers = (db: Db, log: Log): Watchers => {
  const groups = new Map<string, Set<Entry>>();
  let position: Position | undefined;

  const all = function* (): Generator<Entry> {
    for (const entries of groups.values()) yield* entries;
  };
  const told = (change: ChangeRow): Iterable<Entry> => (change.group_uid === null ? all() : (groups.get(change.group_uid) ?? []));

  const ask = (from: Position) =>
    selectChanges(db.read, { after: from.head, missing: [...from.missing.keys()], withNext: needsNext(from) }, LOOK_ROWS);

  /** Nobody is told of what was there before; what was under way then is among the missing. */
  const begin = async (): Promise<Position> => {
    const { head, pruned_to: prunedTo } = await selectHead(db.read);
    const from = { head: head - UNDER_WAY > prunedTo ? head - UNDER_WAY : prunedTo, missing: new Map() };
    const { rows, snapshot } = await ask(from);
    return advance(from, rows, snapshot);
  };

  /** False if there is more. */
  const look = async (): Promise<boolean> => {
    const from = (position ??= await begin());
    const { snapshot, rows } = await ask(from);
    if (snapshot.pruned_to > from.head) for (const entry of all()) miss(entry);
    for (const change of rows) for (const entry of told(change)) if (concerns(entry, change)) add(entry, change);
    position = advance(from, rows, snapshot);
    return rows.length < LOOK_ROWS;
  };

  /** In slices, so that thousands who are told at once do not keep everybody else waiting. */
  const wake = async (): Promise<void> => {
    const due = performance.now() - TELL_MS;
    let count = 0;
    for (const entry of all()) {
      if (!hasNews(entry) && entry.toldAt > due) continue;
      entry.wake?.();
      if (++count % SLICE === 0) await setImmediate();
    }
  };

  const loop = openLoop(async () => {
    if (groups.size === 0) {
      position = undefined;
      return IDLE_MS;
    }
    try {
      while (!(await look()));
      await wake();
    } catch (error) {
      log.warn({ error: describe(error) }, 'changes could not be read; trying again');
    }
    return EVERY_MS;
  });

  const take = (entry: Entry): News => {
    const news = { changes: entry.waiting, isResync: entry.isResync, settled: position ? settledTo(position) : 0n };
    Object.assign(entry, { waiting: [], isResync: false, toldAt: performance.now() });
    return news;
  };

  return {
    watch: (group, secretIds, signal) => {
      const wanted = secretIds && new Set(secretIds);
      const entry: Entry = { group, wanted, waiting: [], isResync: false, toldAt: -Infinity, wake: undefined };
      const entries = groups.get(group.group_uid) ?? new Set();
      groups.set(group.group_uid, entries.add(entry));
      const leave = (): void => {
        entries.delete(entry);
        if (entries.size === 0) groups.delete(group.group_uid);
        entry.wake?.();
      };
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave, { once: true });
      loop.kick();
      return async () => {
        if (!hasNews(entry) && !signal.aborted) await new Promise<void>((resolve) => (entry.wake = resolve));
        entry.wake = undefined;
        return take(entry);
      };
    },
    [Symbol.asyncDispose]: () => loop[Symbol.asyncDispose](),
  };
};
