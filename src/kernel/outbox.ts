// The outbox: audit events of changes, written in the change's own transaction and shipped to the audit log in order. An
// event the log has not taken after 5 s stops further changes: nothing changes unrecorded, nothing hangs.
import { Event } from '../gen/strongroom/audit/v1/audit_service.ts';
import type { Auditor } from './audit.ts';
import type { Db, Transaction } from './db.ts';
import { AppError } from './errors.ts';
import { describe, type Log } from './log.ts';
import { metrics } from './metrics.ts';

const MAX_AGE_MS = 5_000;
const BATCH = 256;

/** As the last thing in a transaction, or nearly. */
export const enqueue = (tx: Transaction, event: Event): void => {
  const values = [Buffer.from(Event.encode(event).finish())];
  tx.send({ name: 'outbox.insert', text: 'insert into outbox (event) values ($1)', values });
};

export interface Relay extends AsyncDisposable {
  /** There is something to ship. */
  kick(): void;
  /** Resolves when all that was written before is in the log; rejects with AUDIT_UNAVAILABLE if it does not take it now. */
  flush(): Promise<void>;
  /** Throws AUDIT_UNAVAILABLE if an event has waited too long. */
  assertHealthy(): void;
}

interface Waiting {
  id: bigint;
  event: Buffer;
  age_ms: number;
}

/** Ships one batch; answers how many it shipped. The rows are locked, so that replicas take turns and keep the order. */
const ship = (db: Db, auditor: Auditor, saw: (oldestMs: number) => void): Promise<number> =>
  db.transaction(async (tx) => {
    await tx.query({ name: 'outbox.lock', text: `select pg_advisory_xact_lock(hashtext('strongroom.outbox'))` });
    const rows = await tx.query<Waiting>({
      name: 'outbox.select',
      text: `select id, event, (extract(epoch from now() - create_time) * 1000)::float8 as age_ms from outbox order by id limit ${BATCH}`,
    });
    if (rows.length === 0) return 0;
    saw(rows[0]!.age_ms);
    await auditor.append(
      rows.map((row) => Event.decode(row.event)),
      Date.now() + 10_000,
    );
    await tx.query({ name: 'outbox.delete', text: 'delete from outbox where id = any($1::bigint[])', values: [rows.map((row) => row.id)] });
    return rows.length;
  });

const late = () => new AppError('AUDIT_UNAVAILABLE', 'the change was made, but the audit log has not taken its event yet; repeat the call');

export const openRelay = (db: Db, auditor: Auditor, log: Log): Relay => {
  let running: Promise<void> | undefined;
  let again = false;
  let stopped = false;
  let retry: NodeJS.Timeout | undefined;
  /** Monotonic time at which the oldest event that waits was written; undefined when all is shipped. */
  let waitingSince: number | undefined;
  /** Who came before a shipment began knows at its end that all was shipped, unless it was full. */
  let waiters: { resolve: () => void; reject: (error: AppError) => void }[] = [];

  const drain = async (): Promise<void> => {
    let shipped = 0;
    do {
      again = false;
      const present = waiters;
      waiters = [];
      try {
        shipped = await ship(db, auditor, (ageMs) => (waitingSince = Math.min(waitingSince ?? Infinity, performance.now() - ageMs)));
      } catch (error) {
        for (const waiter of present) waiter.reject(late());
        throw error;
      }
      waitingSince = undefined;
      // A full batch may have left something of theirs behind.
      if (shipped === BATCH) waiters.unshift(...present);
      else for (const waiter of present) waiter.resolve();
    } while (!stopped && (again || shipped === BATCH));
  };

  const kick = (): void => {
    again = true;
    if (running || retry || stopped) return;
    running = drain()
      .catch((error: unknown) => {
        waitingSince ??= performance.now();
        log.warn({ error: describe(error) }, 'the audit log did not take an event; trying again');
        retry = setTimeout(() => {
          retry = undefined;
          kick();
        }, 500);
      })
      .finally(() => {
        metrics.outboxAge.set(waitingSince === undefined ? 0 : (performance.now() - waitingSince) / 1000);
        running = undefined;
        if (again) kick();
      });
  };

  kick();
  return {
    kick,
    flush: () =>
      new Promise((resolve, reject) => {
        if (retry || stopped) {
          reject(late());
          return;
        }
        waiters.push({ resolve, reject });
        kick();
      }),
    assertHealthy: () => {
      if (waitingSince !== undefined && performance.now() - waitingSince > MAX_AGE_MS) {
        throw new AppError('AUDIT_UNAVAILABLE', 'the audit log takes no events; nothing may change until it does, try again');
      }
    },
    [Symbol.asyncDispose]: async () => {
      stopped = true;
      clearTimeout(retry);
      await running;
      for (const waiter of waiters) waiter.reject(late());
    },
  };
};
