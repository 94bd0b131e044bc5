// How far purges are, asked of the database, and waiting for them with a bound: a process of the stack that ends, or purges that
// get nowhere, end the bench with a sentence.
import { setTimeout as sleep } from 'node:timers/promises';
import type pg from 'pg';

/** Of all of them together; times in milliseconds since 1970, those of the last one unless it says otherwise. */
export interface Progress {
  due: number;
  firstBegun: number;
  begun: number;
  unreadable: number;
  /** How many have begun, have no rows left, are done. */
  started: number;
  emptied: number;
  done: number;
  /** Keys and rows that are gone. */
  removed: number;
  lastError: string;
}

/** Longer than a purge waits after a failure. */
const PATIENCE_MS = 90_000;
const ANSWER_MS = 20_000;

const ms = (time: string): string => `(extract(epoch from ${time}) * 1000)::float8`;
const PROGRESS = `select ${ms('max(purge_time)')} as due, ${ms('min(start_time)')} as "firstBegun", ${ms('max(start_time)')} as begun,
    ${ms('max(keys_destroyed_time)')} as unreadable, count(start_time)::int as started,
    count(*) filter (where state in ('FINISHING', 'DONE'))::int as emptied, count(*) filter (where state = 'DONE')::int as done,
    sum(scope_keys_destroyed + versions_removed + secrets_removed + groups_removed)::float8 as removed, max(last_error) as "lastError"
  from purges where uid = any($1)`;

const within = async <T>(answer: Promise<T>, what: string): Promise<T> => {
  const timer = new AbortController();
  const late = sleep(ANSWER_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`${what} has not answered in ${ANSWER_MS / 1_000} s`);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
};

const assertRunning = (pids: Readonly<Record<string, number>>): void => {
  for (const [name, pid] of Object.entries(pids)) {
    try {
      process.kill(pid, 0);
    } catch {
      throw new Error(`${name} (process ${pid}) has ended, so there is nothing to measure`);
    }
  }
};

const tell = ({ started, emptied, done, removed, lastError }: Progress, of: number): string =>
  `of ${of} purges ${started} have begun, ${emptied} have no rows left and ${done} are done, with ${removed} keys and rows gone; ` +
  `what the last failure says: ${lastError || 'there was none'}`;

export interface Watch {
  /** Asks until it is so; at least that many milliseconds apart. */
  reaches(isSo: (progress: Progress) => boolean, everyMs: number): Promise<Progress>;
}

export const watchPurges = (client: pg.Client, uids: readonly string[], pids: Readonly<Record<string, number>>): Watch => ({
  reaches: async (isSo, everyMs) => {
    let [seen, since] = ['', performance.now()];
    for (;;) {
      assertRunning(pids);
      const { rows } = await within(client.query<Progress>(PROGRESS, [uids]), 'PostgreSQL');
      const progress = rows[0]!;
      if (isSo(progress)) return progress;
      const { lastError: _, ...facts } = progress;
      const now = JSON.stringify(facts);
      if (now !== seen) [seen, since] = [now, performance.now()];
      else if (performance.now() - since > PATIENCE_MS)
        throw new Error(`nothing has changed in ${PATIENCE_MS / 1_000} s: ${tell(progress, uids.length)}`);
      await sleep(everyMs);
    }
  },
});
