// The writer of the log. Group commit without a timer: while one batch commits, the next one gathers. An event is
// acknowledged when its entry, the tree's new state and the signed checkpoint are committed together. A writer that was
// fenced off, or does not know whether a commit happened, forgets what it has in memory and reads the log again.
import { Event_Severity } from '../gen/strongroom/audit/v1/audit_service.ts';
import { batcher } from '../kernel/batch.ts';
import { sqlState } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { describe } from '../kernel/log.ts';
import { metrics } from '../kernel/metrics.ts';
import { checkpointText } from './checkpoint.ts';
import { leafOf, type Draft } from './event.ts';
import { openLease, type LeaseOptions } from './lease.ts';
import { append, leafHash, rootOf, type Tree } from './merkle.ts';
import { freshKeys, openingsOf } from './private.ts';
import type { LogState } from './recovery.ts';
import { appendBatch, selectKnown, type NewEntry } from './sql/log.ts';
import { extend } from './tiles.ts';

/** What became of one event: its index, or why it alone was refused. */
export type Result = bigint | AppError;

export interface Writer extends AsyncDisposable {
  /** Resolves when the entries are on stable storage, in this order; rejects with AUDIT_STANDBY if it is another process's turn. */
  append(drafts: readonly Draft[], deadline: number): Promise<Result[]>;
  /** Whether it is this process's turn. */
  writes(): Promise<boolean>;
  /** The newest committed state. */
  current(): Promise<LogState>;
}

const MAX_BATCH = 1024;
const MAX_QUEUE = 16_384;
const UNIQUE_VIOLATION = '23505';

const keyOf = (source: string, eventId: string): string => `${source} ${eventId}`;

const standby = (): AppError =>
  new AppError('AUDIT_STANDBY', 'this replica of the audit log does not write; nothing was written, ask another one');

export const openWriter = async (options: LeaseOptions): Promise<Writer> => {
  const { db, signer, log } = options;
  const lease = await openLease(options);

  /** All of them or none. */
  const commit = async (drafts: readonly Draft[], before: LogState): Promise<void> => {
    const recordTime = new Date(Math.max(Date.now(), before.recordTime.getTime()));
    const nextKey = freshKeys(drafts.length);
    const entries = drafts.map((draft) => entryOf(draft, recordTime, nextKey));
    const hashes = entries.map((entry) => entry.leafHash);
    const tree = hashes.reduce<Tree>(append, before.tree);
    const { tails, full } = extend(before.tails, hashes);
    const root = rootOf(tree);
    const note = signer.sign(checkpointText({ origin: signer.verifier.name, size: tree.size, root }));
    const checkpoint = { size: tree.size, root, note };
    const { epoch } = before;
    const [left, frontier] = [before.tree, tree].map((each) => Buffer.concat(each.frontier)) as [Buffer, Buffer];
    const batch = { epoch, before: { size: before.tree.size, frontier: left }, frontier, recordTime, entries, tiles: full, checkpoint };
    if (!(await appendBatch(db.read, batch))) throw standby();
    lease.advance({ epoch, tree, tails, recordTime, checkpoint });
    metrics.auditBatch.observe(entries.length);
  };

  const add = async (drafts: readonly Draft[], before: LogState): Promise<Result[]> => {
    // Of several under one id in one batch, the first counts.
    const firsts = new Map<string, Draft>();
    for (const draft of drafts) {
      const key = keyOf(draft.source, draft.event.eventId);
      if (!firsts.has(key)) firsts.set(key, draft);
    }
    const known = new Map<string, Place>();
    try {
      await commit([...firsts.values()], before);
      if (firsts.size === drafts.length) return drafts.map((_, i) => before.tree.size + BigInt(i));
    } catch (error) {
      if (sqlState(error) !== UNIQUE_VIOLATION) throw error;
      // Some of them are there already, and keep their first index; the rest goes in.
      const asked = drafts.map(({ source, event }) => ({ source, eventId: event.eventId }));
      for (const { source, event_id, index, event_digest: digest } of await selectKnown(db.read, asked)) {
        known.set(keyOf(source, event_id), { index, digest });
        firsts.delete(keyOf(source, event_id));
      }
      // What is known was perhaps never acknowledged: only a commit after it shows that it is on stable storage.
      if (firsts.size > 0) await commit([...firsts.values()], before);
      else if (!(await lease.renew(before.epoch))) throw standby();
    }
    let index = before.tree.size;
    for (const [key, { digest }] of firsts) known.set(key, { index: index++, digest });
    return drafts.map((draft) => answer(draft, known.get(keyOf(draft.source, draft.event.eventId))));
  };

  const enqueue = batcher<readonly Draft[], Result[]>({
    max: MAX_BATCH,
    queue: MAX_QUEUE,
    weight: (drafts) => drafts.length,
    late: 'AUDIT_UNAVAILABLE',
    run: async (requests) => {
      const before = await lease.own().catch((error: unknown) => {
        throw unavailable(error);
      });
      if (!before) throw standby();
      try {
        const results = await add(requests.flat(), before);
        return requests.map(({ length }) => results.splice(0, length));
      } catch (error) {
        // Fenced off, or nobody knows: what is in memory may not be what is in the database.
        lease.drop(before.epoch);
        log.warn({ error: describe(error) }, 'a batch failed; the log is read again');
        throw error instanceof AppError && error.reason === 'AUDIT_STANDBY' ? error : unavailable(error);
      }
    },
  });
  return {
    append: async (drafts, deadline) => (drafts.length === 0 ? [] : enqueue(drafts, deadline)),
    writes: async () => (await lease.own()) !== undefined,
    current: () =>
      lease.current().catch((error: unknown) => {
        throw unavailable(error);
      }),
    [Symbol.asyncDispose]: () => lease[Symbol.asyncDispose](),
  };
};

const unavailable = (cause: unknown): AppError =>
  new AppError('AUDIT_UNAVAILABLE', 'the audit log could not be read or written; nothing was acknowledged, try again', { cause });

interface Place {
  index: bigint;
  digest: Buffer;
}

/** The same event: its index. Another one under the same id: an error for it alone. */
const answer = (draft: Draft, found: Place | undefined): Result => {
  if (found?.digest.equals(draft.digest)) return found.index;
  const { eventId } = draft.event;
  return new AppError('EVENT_ID_REUSED', `event ${eventId} is in the log with other content`, { metadata: { eventId } });
};

const entryOf = (draft: Draft, recordTime: Date, nextKey: () => Buffer): NewEntry => {
  const openings = openingsOf(draft.event, nextKey);
  const leaf = leafOf(draft, recordTime, openings);
  const { event, source, digest } = draft;
  const { eventId, action, principal, onBehalfOf, resource, correlationId, instanceUid, outcome } = event;
  const hash = leafHash(leaf);
  const severity = event.severity || Event_Severity.NORMAL;
  return {
    source,
    eventId,
    digest,
    leaf,
    leafHash: hash,
    action,
    principal,
    onBehalfOf,
    resource,
    correlationId,
    instanceUid,
    outcome,
    severity,
    private: openings,
  };
};
