// An audit log on a scratch database, with the handlers' side of it: for tests of what it keeps and what it lets go.
import { expect, vi } from 'vitest';
import type { AuditAdmin } from '../../src/audit/audit.ts';
import { parseCheckpoint } from '../../src/audit/checkpoint.ts';
import { draftOf } from '../../src/audit/event.ts';
import { leafHash, rootFromInclusion } from '../../src/audit/merkle.ts';
import { openNote } from '../../src/audit/note.ts';
import { OWN_ACTIONS } from '../../src/audit/own-actions.ts';
import { getInclusionProof } from '../../src/audit/rpc/get-inclusion-proof.ts';
import { openSelfCheck, type SelfCheck } from '../../src/audit/self-check.ts';
import { type Writer } from '../../src/audit/writer.ts';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import type { Auditor } from '../../src/kernel/audit.ts';
import type { Fact } from '../../src/kernel/facts.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import type { Log } from '../../src/kernel/log.ts';
import { openOwnEvents } from '../../src/kernel/own-event.ts';
import type { Call } from '../../src/kernel/table.ts';
import { READER } from '../support/audit-reader.ts';
import { append, event, newLog as newScratchLog, NEWEST, signer, soon, source } from './scratch-log.ts';

export const self = parseSpiffeId('spiffe://strongroom.internal/service/audit')!;
const operator = parseSpiffeId('spiffe://strongroom.internal/operator')!;
export const DAY_MS = 86_400_000;

export const newEvent = (change: Partial<Event> = {}): Event => event({ sourceAddress: '203.0.113.77', ...change });

/** A call of the operator, as the steps hand it to a handler. */
export const callOf = (action: string, facts: readonly Fact[] = []): Call => ({
  ...READER,
  row: { action, audit: 'write', facts },
  action,
  principal: operator,
  sourceAddress: '192.0.2.1',
  deadline: soon(),
  facts: {},
  annotate(more) {
    Object.assign(this.facts, more);
  },
});

/** With partitions of 256 entries. */
export const newLog = async () => {
  const base = await newScratchLog(0, 256);
  const { scratch, db, writer } = base;
  const auditorOf = (one: Writer): Auditor => ({
    append: (events) => Promise.all(events.map((each) => append(one, draftOf(each, self)))),
  });
  const checkOf = (log: Log, one = writer): SelfCheck =>
    openSelfCheck({
      db,
      writer: one,
      verifier: signer.verifier,
      auditor: auditorOf(one),
      ownEvent: openOwnEvents(self, OWN_ACTIONS),
      log,
      entriesPerSecond: 1e6,
    });
  const auditOf = (one = writer): AuditAdmin => ({
    ...base.auditOf(one),
    bindings: undefined,
    auditor: auditorOf(one),
    selfCheck: {
      status: () => ({ checkedSize: 0n, passSize: 0n, passEndTime: undefined, mismatch: undefined }),
      [Symbol.asyncDispose]: async () => undefined,
    },
  });
  /** In batches that fit into the room that there is. */
  const fill = async (count: number, change: (i: number) => Partial<Event> = () => ({})): Promise<void> => {
    for (let from = 0; from < count; from += 200) {
      await scratch.sql('select make_room()');
      const drafts = Array.from({ length: Math.min(200, count - from) }, (_, i) => draftOf(newEvent(change(from + i)), source));
      await writer.append(drafts, soon());
    }
  };
  return { ...base, writer, auditOf, checkOf, fill };
};
export type AuditLog = Awaited<ReturnType<typeof newLog>>;

/** Lets the log take entries so many days ago. */
export const daysAgo = async (days: number, work: () => Promise<void>): Promise<void> => {
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - days * DAY_MS });
  try {
    await work();
  } finally {
    vi.useRealTimers();
  }
};

/** Proves an entry from nothing but its bytes and the verifier key. */
export const proves = async (audit: AuditAdmin, index: bigint, leaf: Buffer): Promise<void> => {
  const { hashes, checkpoint } = await getInclusionProof(audit, { ...NEWEST, index }, READER);
  const signed = parseCheckpoint(openNote(checkpoint!.note, signer.verifier) ?? '');
  expect(rootFromInclusion(index, signed!.size, leafHash(leaf), hashes), `entry ${index}`).toEqual(signed?.root);
};
