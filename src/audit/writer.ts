// The one writer of the log. Group commit without a timer: while one batch commits, the next one gathers. An event is
// acknowledged when its entry, the tree's new state and the signed checkpoint are committed together. A writer that was
// fenced off, or does not know whether a commit happened, forgets what it has in memory and reads the log again.
import { Event_Severity } from '../gen/strongroom/audit/v1/audit_service.ts';
import { batcher } from '../kernel/batch.ts';
import { sqlState, type Db } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { describe, type Log } from '../kernel/log.ts';
import { metrics } from '../kernel/metrics.ts';
import { checkpointText } from './checkpoint.ts';
import { leafOf, type Draft } from './event.ts';
import { append, leafHash, rootOf, type Tree } from './merkle.ts';
import type { Signer } from './note.ts';
import { openOutside } from './outside.ts';
import { freshKeys, openingsOf } from './private.ts';
import { loadState, type LogState } from './recovery.ts';
import { appendBatch, selectKnown, type Known, type NewEntry } from './sql/log.ts';
import { makeRoom } from './sql/ranges.ts';
import { extend } from './tiles.ts';

export interface Writer {
  /** Resolves with the index when the entry is on stable storage. */
  append(draft: Draft, deadline: number): Promise<bigint>;
  /** The newest committed state. */
  current(): Promise<LogState>;
}

const MAX_BATCH = 1024;
const MAX_QUEUE = 16_384;
const UNIQUE_VIOLATION = '23505';

const keyOf = ({ source, event }: Draft): string => `${source} ${event.eventId}`;

const unavailable = (cause?: unknown): AppError =>
  new AppError('AUDIT_UNAVAILABLE', 'the audit log could not write; nothing was acknowledged, try again', { cause });

export const openWriter = async (db: Db, signer: Signer, log: Log, outside = openOutside([], signer.verifiers, log)): Promise<Writer> => {
  const load = async (): Promise<LogState> => {
    await makeRoom(db.read);
    const loaded = await loadState(db, signer, outside);
    outside.publish(loaded.checkpoint);
    return loaded;
  };
  let state = load();
  await state;

  const reload = (why: unknown): AppError => {
    log.warn({ error: describe(why) }, 'the log is read again');
    const loading = load();
    // A failure stays for the next call to find, which then tries again.
    loading.catch(() => undefined);
    state = loading;
    return unavailable(why);
  };

  const currentState = async (): Promise<LogState> => {
    try {
      return await state;
    } catch (error) {
      state = load();
      return state.catch(() => {
        throw unavailable(error);
      });
    }
  };

  /** Commits what is new among the drafts; answers an index for each. */
  const commit = async (drafts: readonly Draft[], before: LogState): Promise<bigint[]> => {
    const recordTime = new Date(Math.max(Date.now(), before.recordTime.getTime()));
    const nextKey = freshKeys(drafts.length);
    const entries = drafts.map((draft) => entryOf(draft, recordTime, nextKey));
    let tree: Tree = before.tree;
    for (const entry of entries) tree = append(tree, entry.leafHash);
    const { tails, full } = extend(
      before.tails,
      entries.map((entry) => entry.leafHash),
    );
    const root = rootOf(tree);
    const note = signer.sign(checkpointText({ origin: signer.verifier.name, size: tree.size, root }));
    const checkpoint = { size: tree.size, root, note };
    const batch = {
      epoch: before.epoch,
      size: before.tree.size,
      frontier: Buffer.concat(tree.frontier),
      recordTime,
      entries,
      tiles: full,
      checkpoint,
    };
    if (!(await appendBatch(db.read, batch))) throw new AppError('AUDIT_UNAVAILABLE', 'another writer has taken over the log');
    state = Promise.resolve({ epoch: before.epoch, tree, tails, recordTime, checkpoint });
    outside.publish(checkpoint);
    metrics.auditBatch.observe(entries.length);
    return drafts.map((_, i) => before.tree.size + BigInt(i));
  };

  const add = batcher<Draft, bigint>({
    max: MAX_BATCH,
    queue: MAX_QUEUE,
    late: 'AUDIT_UNAVAILABLE',
    run: async (drafts) => {
      const before = await currentState();
      // Of several under one id in one batch, the first counts.
      const unique = [...Map.groupBy(drafts, keyOf).values()].map(([first]) => first!);
      try {
        const indexes = new Map(
          (await commit(unique, before)).map((index, i) => [keyOf(unique[i]!), { index, event_digest: unique[i]!.digest }]),
        );
        return drafts.map((draft) => answer(draft, indexes.get(keyOf(draft))));
      } catch (error) {
        if (sqlState(error) !== UNIQUE_VIOLATION) throw reload(error);
      }
      // Some of them are there already: answered with their first index, the rest goes in.
      const known = new Map(
        (
          await selectKnown(
            db.read,
            unique.map((d) => ({ source: d.source, eventId: d.event.eventId })),
          )
        ).map((k: Known) => [`${k.source} ${k.event_id}`, k]),
      );
      const fresh = unique.filter((draft) => !known.has(keyOf(draft)));
      const indexes =
        fresh.length === 0
          ? []
          : await commit(fresh, before).catch((error: unknown) => {
              throw reload(error);
            });
      const added = new Map(fresh.map((draft, i) => [keyOf(draft), { index: indexes[i]!, event_digest: draft.digest }]));
      return drafts.map((draft) => answer(draft, known.get(keyOf(draft)) ?? added.get(keyOf(draft))));
    },
  });
  return { append: add, current: currentState };
};

/** The same event: its index. Another one under the same id: an error for it alone. */
const answer = (draft: Draft, found: { index: bigint; event_digest: Buffer } | undefined): bigint | AppError => {
  if (!found) return unavailable();
  if (found.event_digest.equals(draft.digest)) return found.index;
  return new AppError('EVENT_ID_REUSED', `event ${draft.event.eventId} is in the log with other content`, {
    metadata: { eventId: draft.event.eventId },
  });
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
