// Entries for other systems: what their specifications require is there, and says what the entry says.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { toCloudEvent, toJson, toOcsf } from '../../src/audit/export-formats.ts';
import { ROOT } from '../../src/dev/stack.ts';
import { entryOf, EXAMPLE } from '../support/audit-example.ts';

const denied = entryOf({ outcome: 3, code: 7, reason: 'PERMISSION_DENIED', severity: 3 });
const own = entryOf({
  action: 'keys.rootkey.destroy',
  sourceAddress: '',
  correlationId: '',
  readOnly: false,
  resource: '',
  attributes: new Map(),
});

describe('a CloudEvent', () => {
  it.each([entryOf(), denied, own])('has what version 1.0 requires, and attributes of no other names than it allows', (entry) => {
    const event = toCloudEvent(entry) as Record<string, unknown>;
    for (const name of ['id', 'source', 'specversion', 'type']) expect(event[name], name).toMatch(/./);
    for (const [name, value] of Object.entries(event)) {
      expect(name).toMatch(/^[a-z0-9]{1,20}$/);
      if (name !== 'data') expect(['string', 'number']).toContain(typeof value);
      expect(value).not.toBe('');
    }
    expect(event['time']).toBe('2026-01-02T03:04:05.000Z');
  });

  it('says who, what, when and where in the order of the log, and carries the leaf word for word', () => {
    const entry = entryOf();
    expect(toCloudEvent(entry)).toMatchObject({
      type: 'strongroom.secrets.version.access',
      subject: 'instances/prod/groups/web/secrets/db-password/versions/3',
      sequence: '0000000000000000007',
      recordedtime: '2026-01-02T03:04:05.006Z',
      authtype: 'service_account',
      authid: 'spiffe://strongroom.internal/app',
      severitytext: 'INFO',
    });
    expect(JSON.stringify((toCloudEvent(entry) as { data: object }).data)).toBe(entry.leaf.toString('utf8'));
    expect(JSON.stringify((toJson(entry) as { event: object }).event)).toBe(entry.leaf.toString('utf8'));
  });
});

describe('an OCSF event', () => {
  interface Ocsf {
    type_uid: number;
    class_uid: number;
    activity_id: number;
    [name: string]: unknown;
  }

  it.each([entryOf(), denied, own])('has what API Activity (6003) requires of it and of its objects', (entry) => {
    const event = toOcsf(entry) as Ocsf;
    const required = [
      'activity_id',
      'category_uid',
      'class_uid',
      'severity_id',
      'time',
      'type_uid',
      'metadata',
      'actor',
      'api',
      'src_endpoint',
    ];
    expect(required.filter((name) => event[name] === undefined)).toEqual([]);
    expect(event.type_uid).toBe(event.class_uid * 100 + event.activity_id);
    expect(event).toMatchObject({
      metadata: { version: expect.any(String) as string, product: { vendor_name: 'Strongroom' } },
      actor: { user: { uid: 'spiffe://strongroom.internal/app' } },
      api: { operation: entry.event?.action },
      time: Date.UTC(2026, 0, 2, 3, 4, 5),
    });
    expect(Object.values(event['src_endpoint'] as object)).toHaveLength(1);
  });

  it.each<[string, boolean, number]>([
    ['secrets.secret.create', false, 1],
    ['secrets.version.access', true, 2],
    ['keys.rootkey.rotate', false, 3],
    ['secrets.group.purge', false, 4],
    ['rpc.call.refuse', true, 99],
  ])('tells of the activity: %s', (action, readOnly, activity) => {
    expect(toOcsf(entryOf({ action, readOnly }))).toMatchObject({ activity_id: activity, type_uid: 600_300 + activity });
  });

  it('tells how it ended', () => {
    expect(toOcsf(entryOf())).toMatchObject({ status_id: 1, severity_id: 1 });
    expect(toOcsf(denied)).toMatchObject({
      status_id: 2,
      severity_id: 5,
      status_code: 'PERMISSION_DENIED',
      api: { response: { code: 7, error: 'PERMISSION_DENIED' } },
    });
  });
});

describe('docs/audit-export.md', () => {
  it('shows one entry in every form, as the code makes it', () => {
    const blocks = [...readFileSync(join(ROOT, 'docs/audit-export.md'), 'utf8').matchAll(/```json\n(.*?)```/gs)].map(
      ([, json]) => json ?? '',
    );
    const shown = blocks.map((json) => JSON.parse(json) as object).filter((json) => !('audit' in json));
    expect(shown).toEqual([toJson, toCloudEvent, toOcsf].map((form) => JSON.parse(JSON.stringify(form(EXAMPLE))) as object));
  });
});
