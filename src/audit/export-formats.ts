// Entries in the forms that other systems take: CloudEvents 1.0, OCSF 1.x API Activity (class 6003), and our own as it is in the
// log. docs/audit-export.md has the mappings. Pure.
import { status } from '@grpc/grpc-js';
import { Event_Outcome, Event_Severity, type Entry, type Event } from '../gen/strongroom/audit/v1/audit_service.ts';

/** One entry as one JSON object. */
export type Format = (entry: Entry) => object;

/** Of objects, leaves out what is empty. */
const lean = <T extends object>(object: T): Partial<T> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== '' && value !== undefined)) as Partial<T>;

const leafOf = ({ leaf }: Entry): object => JSON.parse(leaf.toString('utf8')) as object;
const verbOf = ({ action }: Event): string => action.slice(action.lastIndexOf('.') + 1);

const severities = <T>(normal: T, warning: T, critical: T) => ({
  [Event_Severity.UNSPECIFIED]: normal,
  [Event_Severity.NORMAL]: normal,
  [Event_Severity.WARNING]: warning,
  [Event_Severity.CRITICAL]: critical,
});

/** As the log has it: `event` is the leaf, word for word. */
export const toJson: Format = (entry) => ({
  index: String(entry.index),
  source: entry.source,
  leafHash: entry.leafHash.toString('hex'),
  event: leafOf(entry),
});

const OTEL = severities(
  { severitytext: 'INFO', severitynumber: 9 },
  { severitytext: 'WARN', severitynumber: 13 },
  { severitytext: 'ERROR', severitynumber: 17 },
);

/** The pair of source and id is unique, as CloudEvents asks for; an event that is exported twice is the same event. */
export const toCloudEvent: Format = (entry) => {
  const event = entry.event!;
  return {
    specversion: '1.0',
    id: event.eventId,
    source: entry.source,
    type: `strongroom.${event.action}`,
    time: event.occurTime?.toISOString(),
    datacontenttype: 'application/json',
    ...lean({ subject: event.resource, correlationid: event.correlationId }),
    recordedtime: entry.recordTime?.toISOString(),
    // Of one length, so that the order of the texts is that of the log.
    sequence: String(entry.index).padStart(19, '0'),
    authtype: 'service_account',
    authid: event.principal,
    ...OTEL[event.severity],
    data: leafOf(entry),
  };
};

const CLASS = 6003;
const [CREATE, READ, UPDATE, DELETE, OTHER] = [1, 2, 3, 4, 99];
const ACTIVITIES: Readonly<Record<string, number>> = {
  create: CREATE,
  generate: CREATE,
  import: CREATE,
  delete: DELETE,
  destroy: DELETE,
  expire: DELETE,
  purge: DELETE,
  refuse: OTHER,
};
const ACTIVITY_NAMES: Readonly<Record<number, string>> = { 1: 'Create', 2: 'Read', 3: 'Update', 4: 'Delete', 99: 'Other' };
const OCSF_SEVERITY = severities(
  { severity_id: 1, severity: 'Informational' },
  { severity_id: 3, severity: 'Medium' },
  { severity_id: 5, severity: 'Critical' },
);
/** Early versions have no number for service accounts; `Other` has its name in `type`. */
const OTHER_TYPE = 99;

export const toOcsf: Format = (entry) => {
  const event = entry.event!;
  const activity = ACTIVITIES[verbOf(event)] ?? (event.readOnly ? READ : UPDATE);
  const failed = event.outcome !== Event_Outcome.SUCCESS;
  return {
    class_uid: CLASS,
    class_name: 'API Activity',
    category_uid: 6,
    category_name: 'Application Activity',
    activity_id: activity,
    activity_name: ACTIVITY_NAMES[activity],
    type_uid: CLASS * 100 + activity,
    time: event.occurTime?.getTime(),
    ...OCSF_SEVERITY[event.severity],
    status_id: failed ? 2 : 1,
    status: failed ? 'Failure' : 'Success',
    ...lean({ status_code: failed ? (status[event.code] ?? '') : '', status_detail: event.reason }),
    metadata: {
      version: '1.3.0',
      uid: event.eventId,
      product: lean({ name: 'Strongroom', vendor_name: 'Strongroom', version: event.observer?.version ?? '' }),
      log_name: 'audit',
      logged_time: entry.recordTime?.getTime(),
      sequence: Number(entry.index),
      ...lean({ correlation_uid: event.correlationId, tenant_uid: event.instanceUid }),
    },
    actor: { user: { uid: event.principal, type_id: OTHER_TYPE, type: 'Service', ...lean({ credential_uid: event.credentialId }) } },
    api: {
      operation: event.action,
      service: { uid: entry.source, name: entry.source.slice(entry.source.lastIndexOf('/') + 1) },
      request: { uid: event.correlationId || event.eventId },
      ...(failed ? { response: { code: event.code, error: event.reason } } : {}),
    },
    // What a service does by itself comes from no address.
    src_endpoint: event.sourceAddress === '' ? { uid: event.principal } : { ip: event.sourceAddress },
    ...(event.resource === '' ? {} : { resources: [{ name: event.resource, type: event.action.split('.')[1] }] }),
    unmapped: {
      data_event: event.dataEvent,
      ...lean({ on_behalf_of: event.onBehalfOf, trace_id: event.traceId }),
      attributes: Object.fromEntries(event.attributes),
    },
  };
};

export const FORMATS: Readonly<Record<string, Format>> = { json: toJson, cloudevents: toCloudEvent, ocsf: toOcsf };
