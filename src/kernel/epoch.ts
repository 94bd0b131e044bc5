// A bound on how stale a cache may be. The database holds an epoch that every change of what is cached raises. What is
// cached may be used only within 500 ms of the start of the last successful query of the epoch, by a clock that a
// paused process cannot fool. Queries run on demand, at most one per 250 ms; an idle service asks nothing.
import { AppError } from './errors.ts';

const FRESH_MS = 250;
const BOUND_MS = 500;
const TRIES = 3;

/** Whether an answer made from the cache since the lease was given may still leave. */
export type Lease = () => boolean;

export interface Epoch {
  /** Resolves when the cache may be used; rejects if the database cannot be asked. */
  confirm(): Promise<Lease>;
  /** After a change made here: the next `confirm` asks the database, so that the change counts from now on. */
  expire(): void;
  /** Raised by every change: what was loaded in an earlier generation must not enter the cache, nor leave in an answer. */
  readonly generation: number;
}

export const tooSlow = (): AppError =>
  new AppError('DATABASE_UNAVAILABLE', 'the database answers too slowly to know what has been revoked; try again');

export interface EpochOptions {
  query: () => Promise<bigint>;
  /** Called before `confirm` resolves, if the epoch has moved: drop what is cached. */
  onChange: () => void;
}

export const openEpoch = ({ query, onChange }: EpochOptions): Epoch => {
  let epoch: bigint | undefined;
  let generation = 0;
  let confirmedAt = -Infinity;
  let expiries = 0;
  let asking: Promise<void> | undefined;

  const ask = (): Promise<void> =>
    (asking ??= (async () => {
      const [given, startedAt] = [expiries, performance.now()];
      try {
        const now = await query();
        if (now !== epoch) {
          generation++;
          onChange();
        }
        epoch = now;
        // Of a question that was under way at a change made here, nobody knows on which side of it the answer is.
        if (expiries === given) confirmedAt = startedAt;
      } finally {
        if (expiries === given) asking = undefined;
      }
    })());

  const lease = (): Lease => {
    const [given, at] = [generation, confirmedAt];
    // A later confirmation of the same epoch vouches for it too; one of a newer epoch does not.
    return () => performance.now() - (generation === given ? confirmedAt : at) < BOUND_MS;
  };

  return {
    confirm: async () => {
      for (let tries = 1; ;) {
        const age = performance.now() - confirmedAt;
        if (age < FRESH_MS) return lease();
        const given = expiries;
        const answer = ask();
        if (age < BOUND_MS) {
          // Still within the bound: the query runs beside this call, not before it.
          answer.catch(() => undefined);
          return lease();
        }
        await answer;
        if (performance.now() - confirmedAt < BOUND_MS) return lease();
        // Asked again where a change made here has overtaken the question, and where one answer was slow.
        if (expiries === given && tries++ === TRIES) throw tooSlow();
      }
    },
    expire: () => {
      expiries++;
      confirmedAt = -Infinity;
      asking = undefined;
    },
    get generation() {
      return generation;
    },
  };
};
