// AppendEvents: 100 new events a call, such as the store sends for reads.
import { createHash } from 'node:crypto';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome, Event_Severity, type Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import {
  AppendEventsRequest,
  AppendEventsResponse,
  AuditWriterServiceService,
} from '../../src/gen/strongroom/audit/v1/audit_writer_service.ts';
import { OBSERVER } from '../../src/kernel/observer.ts';
import { newUid } from '../../src/kernel/uid.ts';
import { frame } from '../grpc.ts';
import { assertThat, type Operation, type World } from '../operation.ts';

const BATCH = 100;

export const appends = ({ instance, groups }: World): Operation => {
  const eventOf = (i: number): Event => ({
    eventId: newUid(),
    occurTime: new Date(),
    action: 'secrets.version.access',
    principal: spiffeIdOf('app'),
    resource: `${groups[i % groups.length]!.name}/secrets/seeded-${i}/versions/1`,
    instanceUid: instance.uid,
    outcome: Event_Outcome.SUCCESS,
    code: 0,
    reason: '',
    correlationId: newUid(),
    onBehalfOf: '',
    sourceAddress: '127.0.0.1',
    attributes: new Map([['version', '1']]),
    severity: Event_Severity.NORMAL,
    traceId: '',
    dataEvent: true,
    readOnly: true,
    credentialId: createHash('sha256').update('a certificate').digest('hex'),
    observer: OBSERVER,
  });
  return {
    path: AuditWriterServiceService.appendEvents.path,
    to: 'audit',
    as: 'store',
    items: BATCH,
    next: () => ({
      request: frame(AppendEventsRequest.encode({ events: Array.from({ length: BATCH }, (_, i) => eventOf(i)) }).finish()),
      check: (bytes) => {
        const { results } = AppendEventsResponse.decode(bytes);
        assertThat(results.length === BATCH, `${results.length} results for ${BATCH} events`);
        const indexes = results.map(({ outcome }) => (outcome?.$case === 'index' ? outcome.value : -1n));
        // Each has a place of its own in the log, and they keep their order.
        assertThat(
          indexes.every((index, i) => index >= 0n && (i === 0 || index > indexes[i - 1]!)),
          `the events are at ${indexes.join(', ')}`,
        );
      },
    }),
  };
};
