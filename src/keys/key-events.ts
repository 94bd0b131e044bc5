// Events that tell services of the life cycle of root keys: who waits for them here, and what falls due with them.
import { status } from '@grpc/grpc-js';
import type { Db, Transaction } from '../kernel/db.ts';
import { metrics } from '../kernel/metrics.ts';
import { enqueue } from '../kernel/outbox.ts';
import type { Chore } from './chores.ts';
import { keyEventName, rootKeyName } from './names.ts';
import type { OwnEvent } from './own-actions.ts';
import {
  addKeyEvents,
  markOverdue,
  removeOldEvents,
  selectNextExpiry,
  selectNextOverdue,
  tellExpired,
  type KeyEventRow,
} from './sql/key-events.ts';

const AT_ONCE = 500;

export interface KeyEvents {
  /** After a change that has made events: streams of this replica look at once, and chores see what falls due. */
  made(): void;
  /** Resolves when events were made here, after `ms`, or at the end of the call. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
}

export const openKeyEvents = (kickChores: () => void): KeyEvents => {
  const waiting = new Set<() => void>();
  return {
    made: () => {
      for (const go of waiting) go();
      kickChores();
    },
    wait: (ms, signal) =>
      new Promise((resolve) => {
        const go = (): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', go);
          waiting.delete(go);
          resolve();
        };
        const timer = setTimeout(go, ms);
        signal.addEventListener('abort', go, { once: true });
        waiting.add(go);
      }),
  };
};

/** What the audit log is told of one. */
export const factsOfEvent = (row: KeyEventRow) => ({
  resource: rootKeyName({ keyRing: row.key_ring, key: row.key_id }),
  attributes: { event: keyEventName(row.event_uid), key: row.key_uid, change: row.change, state: row.state, service: row.service },
});

/** A key that expires changes in no row; here it becomes known. */
export const expiredKeyChore = (db: Db, ownEvent: OwnEvent): Chore => ({
  name: 'tell that root keys have expired',
  next: () => selectNextExpiry(db.read),
  run: async (tx: Transaction) => {
    const expired = await tellExpired(tx, AT_ONCE);
    for (const { keyUid, ...path } of expired) {
      await addKeyEvents(tx, keyUid, 'EXPIRED');
      enqueue(tx, ownEvent('keys.rootkey.expire', rootKeyName(path), { attributes: { key: keyUid } }));
    }
    return expired.length === AT_ONCE;
  },
});

export const overdueChore = (db: Db, ownEvent: OwnEvent, deadlineMs: number): Chore => ({
  name: 'report key events that nobody has acknowledged',
  next: () => selectNextOverdue(db.read, deadlineMs),
  run: async (tx: Transaction) => {
    const late = await markOverdue(tx, deadlineMs, AT_ONCE);
    for (const row of late) {
      const { resource, attributes } = factsOfEvent(row);
      const failure = { outcome: 'FAILURE', code: status.DEADLINE_EXCEEDED, reason: 'DEADLINE_EXCEEDED' } as const;
      enqueue(tx, ownEvent('keys.event.overdue', resource, { ...failure, attributes }));
    }
    metrics.keyEventsOverdue.inc(late.length);
    return late.length === AT_ONCE;
  },
});

export const cleanupChore: Chore = {
  name: 'remove old key events',
  next: async () => null,
  run: async (tx: Transaction) => (await removeOldEvents(tx, AT_ONCE)) === AT_ONCE,
};
