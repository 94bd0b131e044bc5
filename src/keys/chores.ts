// What falls due by itself: each chore says when, and does some of it in a transaction that one replica at a time makes. All of
// them watch; who comes first does it.
import type { Db, Transaction } from '../kernel/db.ts';
import { describe, type Log } from '../kernel/log.ts';
import type { Relay } from '../kernel/outbox.ts';
import { openLoop } from '../kernel/loop.ts';
import { tryChore } from './sql/chores.ts';

const LONGEST_MS = 60_000;
const SHORTEST_MS = 50;
const RETRY_MS = 5_000;
/** Then others have their turn. */
const TURN_MS = 1_000;

export interface Chore {
  readonly name: string;
  /** In how many milliseconds something falls due; null if nothing is planned. */
  next(): Promise<number | null>;
  /** Does some of what is due; true if there is more. */
  run(tx: Transaction): Promise<boolean>;
}

export interface Chores extends AsyncDisposable {
  /** Something may be due; the first time, the watch begins. */
  kick(): void;
}

interface ChoresOptions {
  db: Db;
  relay: Relay;
  log: Log;
  chores: readonly Chore[];
}

export const openChores = ({ db, relay, log, chores }: ChoresOptions): Chores => {
  const once = (chore: Chore): Promise<boolean> => db.transaction(async (tx) => ((await tryChore(tx, chore.name)) ? chore.run(tx) : false));

  /** One that fails does not hold up the others. */
  const work = async (chore: Chore, signal: AbortSignal): Promise<number> => {
    try {
      relay.assertHealthy();
      const until = performance.now() + TURN_MS;
      let more = true;
      while (more && !signal.aborted && performance.now() < until) more = await once(chore);
      relay.kick();
      return more ? 0 : Math.max(SHORTEST_MS, (await chore.next()) ?? LONGEST_MS);
    } catch (error) {
      log.warn({ error: describe(error) }, `could not ${chore.name}; trying again`);
      return RETRY_MS;
    }
  };

  return openLoop(async (signal) => {
    let ms = LONGEST_MS;
    for (const chore of chores) if (!signal.aborted) ms = Math.min(ms, await work(chore, signal));
    return ms;
  });
};
