// The client side of the audit log, the one service that the kernel knows: events from calls, appended before the reply
// leaves. Concurrent appends of one event leave together as one call; several events appended at once are a call of
// their own, so that they keep their order.
import { Event, Event_Outcome, Event_Severity } from '../gen/strongroom/audit/v1/audit_service.ts';
import { AuditWriterServiceService } from '../gen/strongroom/audit/v1/audit_writer_service.ts';
import { batcher } from './batch.ts';
import { AppError, fromItemError } from './errors.ts';
import { metrics } from './metrics.ts';
import { OBSERVER } from './observer.ts';
import { dialReplicas, type Replicas } from './replicas.ts';
import { severityOf } from './severity.ts';
import type { Action, Call, EntryDraft } from './table.ts';
import type { Tls } from './tls.ts';
import { newUid } from './uid.ts';

export type { Event } from '../gen/strongroom/audit/v1/audit_service.ts';

export interface Auditor {
  /** Resolves with the indexes when the events, at most 1000, are on stable storage; rejects with AUDIT_UNAVAILABLE. */
  append(events: readonly Event[], deadline: number): Promise<bigint[]>;
}

/** A name as a caller sent it, perhaps no name at all, as the log takes it: an entry must never be refused for what it tells of. */
const clip = (text: string, length: number): string => {
  const clean = text.toWellFormed().replaceAll(/[\u0000-\u001f\u007f]/g, '\ufffd');
  return clean.length <= length ? clean : `${clean.slice(0, length - 1).toWellFormed()}…`;
};

/** Of a call, what its entry says whatever becomes of it. */
type Subject = Pick<Call, 'row' | 'principal' | 'credentialId' | 'resource' | 'correlationId' | 'traceId' | 'sourceAddress'>;

/** The entry of a call, complete; outcome SUCCESS unless the draft says otherwise. */
export const eventOf = (call: Subject & Partial<Pick<Call, 'facts'>>, draft: EntryDraft = call.facts ?? {}): Event => {
  const row = draft.as ?? call.row;
  const { code = 0, reason = '' } = draft;
  return {
    eventId: draft.eventId ?? newUid(),
    occurTime: draft.occurTime ?? new Date(),
    action: row.action,
    principal: call.principal,
    resource: clip(draft.resource ?? call.resource, 512),
    instanceUid: draft.instanceUid ?? '',
    outcome: Event_Outcome[draft.outcome ?? 'SUCCESS'],
    code,
    reason,
    correlationId: draft.correlationId ?? call.correlationId,
    onBehalfOf: draft.onBehalfOf ?? '',
    sourceAddress: call.sourceAddress,
    attributes: attributesOf(row, Object.entries(draft.attributes ?? {})),
    severity: Event_Severity[severityOf({ action: row.action, code, reason })],
    traceId: draft.traceId ?? call.traceId,
    dataEvent: row.data ?? false,
    readOnly: row.audit === 'read',
    credentialId: call.credentialId,
    observer: OBSERVER,
  };
};

/** Every change of the store may be asked for twice. */
const ALWAYS = 'replay';

/** What the action does not list is left out, and a metric tells: a call must not fail for it. Few may be long, many must be short. */
const attributesOf = ({ facts }: Action, given: [string, string][]): Map<string, string> => {
  const listed = given.filter(([key]) => key === ALWAYS || (facts as readonly string[]).includes(key));
  if (listed.length < given.length) metrics.auditDropped.inc(given.length - listed.length);
  return new Map(listed.map(([key, value]) => [key, clip(value, listed.length > 6 ? 256 : 2_048)]));
};

/** Which of the replicas writes is found out by asking: an event that comes twice is one entry. */
export const dialAuditor = (replicas: Replicas, tls: Tls): Auditor & AsyncDisposable => {
  const client = dialReplicas(AuditWriterServiceService, replicas, tls, 'AUDIT_UNAVAILABLE');
  const send = async (events: Event[], deadline: number): Promise<(bigint | AppError)[]> => {
    const { results } = await client.appendEvents({ events }, { deadline });
    return results.map(({ outcome }) => {
      if (outcome?.$case === 'index') return outcome.value;
      return outcome ? fromItemError(outcome.value) : new AppError('INTERNAL', 'the audit log gave no answer');
    });
  };
  const appendOne = batcher<Event, bigint>({ max: 512, queue: 16_384, late: 'AUDIT_UNAVAILABLE', run: send });
  const appendMany = async (events: readonly Event[], deadline: number): Promise<bigint[]> =>
    (await send([...events], deadline)).map((result) => {
      if (result instanceof AppError) throw result;
      return result;
    });
  return {
    append: async (events, deadline) => {
      const [first, ...others] = events;
      if (!first) return [];
      return others.length === 0 ? [await appendOne(first, deadline)] : appendMany(events, deadline);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
};
