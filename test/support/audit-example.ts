// The entry that docs/audit-export.md shows in every form.
import { draftOf, leafOf } from '../../src/audit/event.ts';
import { leafHash } from '../../src/audit/merkle.ts';
import { toEntry } from '../../src/audit/messages.ts';
import { openingsOf } from '../../src/audit/private.ts';
import { Event, type Entry } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';

const source = parseSpiffeId('spiffe://strongroom.internal/service/store')!;
const recordTime = new Date('2026-01-02T03:04:05.006Z');

/** Of the event with these changes. */
export const entryOf = (change: Partial<Event> = {}): Entry => {
  const event = Event.fromPartial({
    eventId: '0190a5c0-0000-7000-8000-000000000001',
    occurTime: new Date('2026-01-02T03:04:05.000Z'),
    action: 'secrets.version.access',
    principal: 'spiffe://strongroom.internal/app',
    resource: 'instances/prod/groups/web/secrets/db-password/versions/3',
    instanceUid: '0190a5c0-0000-7000-8000-0000000000aa',
    outcome: 1,
    correlationId: 'order-4711',
    sourceAddress: '10.0.0.1',
    attributes: new Map([['version', '3']]),
    severity: 1,
    traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
    readOnly: true,
    dataEvent: true,
    credentialId: '5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8',
    observer: { instance: 'store-0-1', version: '0.1.0' },
    ...change,
  });
  const openings = openingsOf(event, () => Buffer.alloc(32, 7));
  const leaf = leafOf(draftOf(event, source), recordTime, openings);
  const rows = openings.map(({ key, ...opening }) => ({ ...opening, key: key.toString('base64') }));
  return toEntry({ index: 7n, source, record_time: recordTime, leaf, leaf_hash: leafHash(leaf), private: rows });
};

export const EXAMPLE = entryOf();
