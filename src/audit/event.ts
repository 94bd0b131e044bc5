// Events: checked, and as the canonical JSON (RFC 8785) whose hash is in the tree. The shape follows CADF (DSP0262):
// initiator, action, target, outcome, reason, observer. Pure.
import { hash } from 'node:crypto';
import { Event_Outcome, Event_Severity, type Event } from '../gen/strongroom/audit/v1/audit_service.ts';
import { invalid } from '../kernel/errors.ts';
import { parseSpiffeId, type SpiffeId } from '../kernel/identity.ts';
import { canonical, type Json } from './canonical.ts';
import { commitmentText, type Opening } from './private.ts';

/** A leaf is at most this long: entry bundles of tlog-tiles give its length in 16 bits. */
const MAX_LEAF_BYTES = 65_535;
/** Of all values together, so that every event that passes the checks fits into a leaf. */
const MAX_ATTRIBUTE_CHARACTERS = 12_288;
const SCHEMA = 'strongroom/event/v1';
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const ACTION = /^[a-z]+(\.[a-z]+){2,3}$/;
const ATTRIBUTE = /^[a-zA-Z][a-zA-Z0-9_]{0,63}$/;

const OUTCOMES = { [Event_Outcome.SUCCESS]: 'success', [Event_Outcome.FAILURE]: 'failure', [Event_Outcome.DENIED]: 'denied' } as const;
type OutcomeNumber = keyof typeof OUTCOMES;
const SEVERITIES = {
  [Event_Severity.UNSPECIFIED]: 'normal',
  [Event_Severity.NORMAL]: 'normal',
  [Event_Severity.WARNING]: 'warning',
  [Event_Severity.CRITICAL]: 'critical',
} as const;
type SeverityNumber = keyof typeof SEVERITIES;

/** Of the CADF taxonomy. What was acted on is named by the second word of the action. */
const INITIATOR_TYPE = 'service/security/account/serviceid';
const targetType = (action: string): string => `data/security/${action.split('.')[1]}`;

const check = (ok: boolean, field: string, rule: string): void => {
  if (!ok) throw invalid(`event.${field}`, rule);
};
// PostgreSQL takes no U+0000, and a reader of the log should not have to take any other control character.
const short = (text: string, limit: number): boolean => text.length <= limit && text.isWellFormed() && !/[\u0000-\u001f\u007f]/.test(text);
const maybeSpiffe = (text: string): boolean => text === '' || parseSpiffeId(text) !== undefined;

const checkEvent = (event: Event): void => {
  check(UUID.test(event.eventId), 'event_id', 'must be a UUID in lower case');
  check(event.occurTime !== undefined && !Number.isNaN(event.occurTime.getTime()), 'occur_time', 'is required');
  check(event.action.length <= 64 && ACTION.test(event.action), 'action', 'must be service.object.verb, at most 64 characters');
  check(parseSpiffeId(event.principal) !== undefined, 'principal', 'must be a SPIFFE ID');
  check(maybeSpiffe(event.onBehalfOf), 'on_behalf_of', 'must be a SPIFFE ID or empty');
  check(short(event.resource, 512), 'resource', 'must be at most 512 characters, none a control character');
  check(event.instanceUid === '' || UUID.test(event.instanceUid), 'instance_uid', 'must be a UUID or empty');
  check(event.outcome in OUTCOMES, 'outcome', 'must be SUCCESS, FAILURE or DENIED');
  check(event.code >= 0 && event.code <= 16, 'code', 'must be a gRPC status code');
  check(/^[A-Z0-9_]{0,63}$/.test(event.reason), 'reason', 'must be at most 63 characters of A-Z, 0-9 and _');
  check(/^[A-Za-z0-9._-]{0,64}$/.test(event.correlationId), 'correlation_id', 'must be at most 64 characters of a-z, A-Z, 0-9, ., _ and -');
  check(event.severity in SEVERITIES, 'severity', 'must be NORMAL, WARNING or CRITICAL');
  check(/^([0-9a-f]{32})?$/.test(event.traceId), 'trace_id', 'must be 32 lower-case hexadecimal digits or empty');
  check(/^([0-9a-f]{64})?$/.test(event.credentialId), 'credential_id', 'must be 64 lower-case hexadecimal digits or empty');
  const { instance = '', version = '' } = event.observer ?? {};
  check(/^[A-Za-z0-9.-]{0,128}$/.test(instance), 'observer.instance', 'must be at most 128 letters, digits, dots and hyphens');
  check(/^[A-Za-z0-9.+-]{0,64}$/.test(version), 'observer.version', 'must be at most 64 letters, digits, dots, plus signs and hyphens');
  check(short(event.sourceAddress, 64), 'source_address', 'must be at most 64 characters, none a control character');
  check(event.attributes.size <= 16, 'attributes', 'must be at most 16');
  let characters = 0;
  for (const [key, value] of event.attributes) {
    characters += value.length;
    check(
      ATTRIBUTE.test(key) && short(value, 2048),
      'attributes',
      'must have keys of at most 64 letters, digits and _, and values of at most 2048 characters, none a control character',
    );
  }
  check(
    characters <= MAX_ATTRIBUTE_CHARACTERS,
    'attributes',
    `must have at most ${MAX_ATTRIBUTE_CHARACTERS} characters in all values together`,
  );
};

/** A checked event, ready for the log. */
export interface Draft {
  event: Event;
  source: SpiffeId;
  /**
   * What the log stores, but for index, time and private fields. Members of canonical JSON in three parts, since keys are sorted: private
   * fields come after the head, and the time of the record before the tail.
   */
  head: string;
  middle: string;
  tail: string;
  /**
   * Of what makes two events the same: all but the process that tells of it, since another one may have to send it again, and private fields,
   * since it would confirm a guess of one that was erased.
   */
  digest: Buffer;
}

/** Leaves out what is empty. */
const lean = (object: Record<string, string | undefined>) => Object.fromEntries(Object.entries(object).filter(([, value]) => value));

export const draftOf = (event: Event, source: SpiffeId): Draft => {
  checkEvent(event);
  const who = members({
    id: event.eventId,
    eventTime: event.occurTime?.toISOString(),
    eventType: event.outcome === Event_Outcome.DENIED ? 'control' : 'activity',
    action: event.action,
    dataEvent: event.dataEvent,
    initiator: {
      ...lean({ id: event.principal, onBehalfOf: event.onBehalfOf, typeURI: INITIATOR_TYPE }),
      ...(event.credentialId === '' ? {} : { credential: { id: event.credentialId, type: 'x509-svid' } }),
    },
    ...(event.correlationId === '' ? {} : { correlationId: event.correlationId }),
    ...(event.attributes.size === 0 ? {} : { attributes: Object.fromEntries(event.attributes) }),
  });
  const { instance = '', version = '' } = event.observer ?? {};
  const observer = members({ observer: lean({ id: source, instance, version }) });
  const outcome = members({ outcome: OUTCOMES[event.outcome as OutcomeNumber] });
  const middle = members({
    readOnly: event.readOnly,
    ...(event.code === 0 ? {} : { reason: { code: event.code, type: event.reason } }),
  });
  const tail = members({
    schema: SCHEMA,
    severity: SEVERITIES[event.severity as SeverityNumber],
    target: lean({ name: event.resource, instance: event.instanceUid, typeURI: targetType(event.action) }),
    ...(event.traceId === '' ? {} : { traceId: event.traceId }),
  });
  const digest = hash('sha256', `{${who},${outcome},${middle},${tail}}`, 'buffer');
  return { event, source, head: `${who},${observer},${outcome}`, middle, tail, digest };
};

/** Of an object in canonical JSON, without its braces. */
const members = (value: Json): string => canonical(value).slice(1, -1);

/** The bytes whose hash is in the tree. */
export const leafOf = ({ head, middle, tail }: Draft, recordTime: Date, openings: readonly Opening[]): Buffer => {
  const hidden = openings.length === 0 ? '' : `"private":{${openings.map(commitmentText).join(',')}},`;
  const leaf = Buffer.from(`{${head},${hidden}${middle},"recordTime":"${recordTime.toISOString()}",${tail}}`, 'utf8');
  if (leaf.length > MAX_LEAF_BYTES) throw invalid('event', `has ${leaf.length} bytes as an entry; at most ${MAX_LEAF_BYTES} are taken`);
  return leaf;
};

interface LeafJson {
  id: string;
  eventTime: string;
  action: string;
  outcome: string;
  dataEvent: boolean;
  readOnly: boolean;
  severity: string;
  initiator: { id: string; onBehalfOf?: string; credential?: { id: string } };
  observer: { id: string; instance?: string; version?: string };
  recordTime: string;
  private?: Record<string, string>;
  target: { name?: string; instance?: string };
  reason?: { code: number; type: string };
  correlationId?: string;
  traceId?: string;
  attributes?: Record<string, string>;
}

const SEVERITIES_OF: Readonly<Record<string, Event_Severity>> = {
  normal: Event_Severity.NORMAL,
  warning: Event_Severity.WARNING,
  critical: Event_Severity.CRITICAL,
};

/** What a leaf says beyond the event: who sent it, when the log took it, and the commitments to private fields, by field. */
export const recordOfLeaf = (leaf: Buffer): { source: string; recordTime: Date; commitments: Map<string, Buffer> } => {
  const { observer, recordTime, private: hidden = {} } = JSON.parse(leaf.toString('utf8')) as LeafJson;
  const commitments = new Map(Object.entries(hidden).map(([field, text]) => [field, Buffer.from(text, 'base64')]));
  return { source: observer.id, recordTime: new Date(recordTime), commitments };
};

/** The event that a leaf tells of, without its private fields. */
export const eventOfLeaf = (leaf: Buffer): Event => {
  const json = JSON.parse(leaf.toString('utf8')) as LeafJson;
  const outcome = Object.entries(OUTCOMES).find(([, word]) => word === json.outcome);
  return {
    eventId: json.id,
    occurTime: new Date(json.eventTime),
    action: json.action,
    principal: json.initiator.id,
    resource: json.target.name ?? '',
    instanceUid: json.target.instance ?? '',
    outcome: outcome ? (Number(outcome[0]) as Event['outcome']) : Event_Outcome.UNSPECIFIED,
    code: json.reason?.code ?? 0,
    reason: json.reason?.type ?? '',
    correlationId: json.correlationId ?? '',
    onBehalfOf: json.initiator.onBehalfOf ?? '',
    sourceAddress: '',
    attributes: new Map(Object.entries(json.attributes ?? {})),
    severity: SEVERITIES_OF[json.severity] ?? Event_Severity.NORMAL,
    traceId: json.traceId ?? '',
    dataEvent: json.dataEvent,
    readOnly: json.readOnly,
    credentialId: json.initiator.credential?.id ?? '',
    observer: { instance: json.observer.instance ?? '', version: json.observer.version ?? '' },
  };
};
