import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { draftOf, eventOfLeaf, leafOf, type Draft } from '../../src/audit/event.ts';
import { Event_Severity, type Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { commitmentOf, openingsOf } from '../../src/audit/private.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { eventOf } from '../../src/kernel/audit.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import { metrics } from '../../src/kernel/metrics.ts';
import type { Call } from '../../src/kernel/table.ts';

const source = parseSpiffeId('spiffe://strongroom.internal/service/store')!;
const recordTime = new Date('2026-01-02T03:04:05.006Z');

const event = (change: Partial<Event> = {}): Event => ({
  eventId: '0190a5c0-0000-7000-8000-000000000001',
  occurTime: new Date('2026-01-02T03:04:05.000Z'),
  action: 'secrets.version.access',
  principal: 'spiffe://strongroom.internal/app',
  resource: 'instances/i/groups/g/secrets/s/versions/1',
  instanceUid: '0190a5c0-0000-7000-8000-0000000000aa',
  outcome: 3,
  code: 7,
  reason: 'PERMISSION_DENIED',
  correlationId: 'corr-1',
  onBehalfOf: 'spiffe://strongroom.internal/app2',
  sourceAddress: '10.0.0.1',
  attributes: new Map([
    ['version', '1'],
    ['kind', 'TEXT'],
  ]),
  severity: 3,
  traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
  dataEvent: true,
  readOnly: true,
  credentialId: 'ab'.repeat(32),
  observer: { instance: 'store-1-7', version: '1.2.3' },
  ...change,
});
const bare = (): Event =>
  event({
    resource: '',
    instanceUid: '',
    outcome: 1,
    code: 0,
    reason: '',
    correlationId: '',
    onBehalfOf: '',
    sourceAddress: '',
    attributes: new Map(),
    severity: 1,
    traceId: '',
    dataEvent: false,
    readOnly: false,
    credentialId: '',
    observer: { instance: '', version: '' },
  });
const nextKey = () => Buffer.alloc(32, 7);
const leaf = (draft: Draft): Buffer => leafOf(draft, recordTime, openingsOf(draft.event, nextKey));
const textOf = (change: Partial<Event> = {}): string => leaf(draftOf(event(change), source)).toString('utf8');
const committed = commitmentOf({ field: 'source_address', value: '10.0.0.1', key: nextKey() }).toString('base64');
const COMMITTED = `"private":{"source_address":"${committed}"},`;

describe('an event as a leaf', () => {
  it('is canonical JSON by RFC 8785: members sorted, no space, nothing that is empty', () => {
    expect(textOf()).toBe(
      '{"action":"secrets.version.access","attributes":{"kind":"TEXT","version":"1"},"correlationId":"corr-1",' +
        '"dataEvent":true,"eventTime":"2026-01-02T03:04:05.000Z","eventType":"control","id":"0190a5c0-0000-7000-8000-000000000001",' +
        `"initiator":{"credential":{"id":"${'ab'.repeat(32)}","type":"x509-svid"},` +
        '"id":"spiffe://strongroom.internal/app","onBehalfOf":"spiffe://strongroom.internal/app2","typeURI":"service/security/account/serviceid"},' +
        '"observer":{"id":"spiffe://strongroom.internal/service/store","instance":"store-1-7","version":"1.2.3"},"outcome":"denied",' +
        COMMITTED +
        '"readOnly":true,"reason":{"code":7,"type":"PERMISSION_DENIED"},"recordTime":"2026-01-02T03:04:05.006Z",' +
        '"schema":"strongroom/event/v1","severity":"critical","target":{"instance":"0190a5c0-0000-7000-8000-0000000000aa",' +
        '"name":"instances/i/groups/g/secrets/s/versions/1","typeURI":"data/security/version"},"traceId":"4bf92f3577b34da6a3ce929d0e0e4736"}',
    );
    expect(leaf(draftOf(bare(), source)).toString('utf8')).toBe(
      '{"action":"secrets.version.access","dataEvent":false,"eventTime":"2026-01-02T03:04:05.000Z","eventType":"activity",' +
        '"id":"0190a5c0-0000-7000-8000-000000000001",' +
        '"initiator":{"id":"spiffe://strongroom.internal/app","typeURI":"service/security/account/serviceid"},' +
        '"observer":{"id":"spiffe://strongroom.internal/service/store"},"outcome":"success","readOnly":false,' +
        '"recordTime":"2026-01-02T03:04:05.006Z","schema":"strongroom/event/v1","severity":"normal",' +
        '"target":{"typeURI":"data/security/version"}}',
    );
  });

  it('escapes what RFC 8785 escapes and nothing else: quotes and backslash, but no slash and no letter of any script', () => {
    expect(textOf({ resource: 'a"b\\c/d é € 😀 \u2028' })).toContain('"name":"a\\"b\\\\c/d é € 😀 \u2028"');
  });

  it('sorts attributes by UTF-16 units: upper case before lower case, digits first', () => {
    const attributes = new Map(['b', 'a', 'B', 'a_1', 'a1', 'A'].map((key) => [key, key]));
    expect(textOf({ attributes })).toContain('"attributes":{"A":"A","B":"B","a":"a","a1":"a1","a_1":"a_1","b":"b"}');
  });

  it('comes back as the event it was, but for its private fields', () => {
    for (const one of [event(), bare(), event({ outcome: 2 }), event({ resource: 'é "quoted" 😀' })]) {
      expect(eventOfLeaf(leaf(draftOf(one, source)))).toEqual({ ...one, sourceAddress: '' });
    }
  });

  it('is refused beyond the 65,535 bytes that an entry bundle can hold', () => {
    const draft = draftOf(event(), source);
    const room = 65_535 - leaf(draft).length;
    const padded = (n: number): Draft => ({ ...draft, tail: draft.tail + ' '.repeat(n) });
    expect(leaf(padded(room)).length).toBe(65_535);
    expect(() => leaf(padded(room + 1))).toThrow(/65536 bytes.*at most 65535/);
  });

  it('of the largest event that passes the checks still fits', () => {
    const long = `spiffe://strongroom.internal/${'a'.repeat(2_019)}`;
    const attributes = new Map(Array.from({ length: 16 }, (_, i) => [`${'k'.repeat(62)}${10 + i}`, '\u2028'.repeat(i < 6 ? 2_048 : 0)]));
    const largest = event({ principal: long, onBehalfOf: long, resource: '€'.repeat(512), reason: 'R'.repeat(63), attributes });
    expect(leaf(draftOf(largest, parseSpiffeId(long)!)).length).toBeLessThan(65_535);
  });
});

describe('the digest that tells a repeat from another event under its id', () => {
  it('is the same however often the event is sent, and whatever the order of its attributes', () => {
    const reordered = event({ attributes: new Map([...event().attributes].toReversed()) });
    expect(draftOf(reordered, source).digest).toEqual(draftOf(event(), source).digest);
  });

  it('is SHA-256 of the leaf without record time, private fields and the process that tells of it: another one may have to repeat it', () => {
    const { digest } = draftOf(event(), source);
    const text = textOf()
      .replace('"recordTime":"2026-01-02T03:04:05.006Z",', '')
      .replace(COMMITTED, '')
      .replace(/"observer":\{.*?\},/, '');
    expect(draftOf(event({ observer: { instance: 'store-2-9', version: '1.2.4' } }), source).digest).toEqual(digest);
    expect(createHash('sha256').update(text).digest()).toEqual(digest);
  });

  it('is another one for every other field that differs, but a private one', () => {
    const changes: Partial<Event>[] = [
      { eventId: '0190a5c0-0000-7000-8000-000000000002' },
      { occurTime: new Date('2026-01-02T03:04:05.001Z') },
      { action: 'secrets.version.read' },
      { principal: 'spiffe://strongroom.internal/other' },
      { resource: 'instances/i' },
      { instanceUid: '' },
      { outcome: 2 },
      { code: 5 },
      { reason: 'NOT_FOUND' },
      { correlationId: 'corr-2' },
      { onBehalfOf: '' },
      { attributes: new Map([['version', '2']]) },
      { severity: 2 },
      { traceId: '' },
      { dataEvent: false },
      { readOnly: false },
      { credentialId: '' },
    ];
    const digests = changes.map((change) => draftOf(event(change), source).digest.toString('hex'));
    expect(new Set([...digests, draftOf(event(), source).digest.toString('hex')]).size).toBe(changes.length + 1);
    // It is kept in the clear, so it must not confirm a guess of what was erased.
    expect(draftOf(event({ sourceAddress: '10.0.0.2' }), source).digest).toEqual(draftOf(event(), source).digest);
  });
});

describe('a bad event', () => {
  const uuid = event().eventId;
  it.each<[string, string, Partial<Event>]>([
    ['event.event_id', 'empty', { eventId: '' }],
    ['event.event_id', 'in upper case', { eventId: uuid.toUpperCase().replace('0190', 'ABCD') }],
    ['event.event_id', 'with a line feed', { eventId: `${uuid}\n` }],
    ['event.occur_time', 'absent', { occurTime: undefined }],
    ['event.occur_time', 'out of range', { occurTime: new Date(Number.NaN) }],
    ['event.action', 'of two words', { action: 'secret.read' }],
    ['event.action', 'of five words', { action: 'a.b.c.d.e' }],
    ['event.action', 'with an upper-case letter', { action: 'secrets.version.Read' }],
    ['event.action', 'of 65 characters', { action: `a.b.${'c'.repeat(61)}` }],
    ['event.principal', 'empty', { principal: '' }],
    ['event.principal', 'no SPIFFE ID', { principal: 'app' }],
    ['event.on_behalf_of', 'no SPIFFE ID', { onBehalfOf: 'app' }],
    ['event.resource', 'of 513 characters', { resource: 'x'.repeat(513) }],
    ['event.resource', 'with U+0000, which PostgreSQL does not take', { resource: 'a\u0000b' }],
    ['event.resource', 'with half a character', { resource: 'a\ud800' }],
    ['event.instance_uid', 'no UUID', { instanceUid: 'x' }],
    ['event.outcome', 'unspecified', { outcome: 0 }],
    ['event.outcome', 'unknown', { outcome: 4 as never }],
    ['event.code', 'negative', { code: -1 }],
    ['event.code', 'beyond the gRPC codes', { code: 17 }],
    ['event.reason', 'in lower case', { reason: 'denied' }],
    ['event.reason', 'of 64 characters', { reason: 'R'.repeat(64) }],
    ['event.correlation_id', 'with a space', { correlationId: 'a b' }],
    ['event.correlation_id', 'of 65 characters', { correlationId: 'a'.repeat(65) }],
    ['event.severity', 'unknown', { severity: 4 as never }],
    ['event.trace_id', 'in upper case', { traceId: 'A'.repeat(32) }],
    ['event.credential_id', 'too short', { credentialId: 'ab' }],
    ['event.observer.instance', 'with a slash', { observer: { instance: 'a/b', version: '' } }],
    ['event.observer.version', 'of 65 characters', { observer: { instance: '', version: '1'.repeat(65) } }],
    ['event.source_address', 'of 65 characters', { sourceAddress: '1'.repeat(65) }],
    ['event.attributes', '17 of them', { attributes: new Map(Array.from({ length: 17 }, (_, i) => [`k${i}`, ''])) }],
    ['event.attributes', 'with a key of 65 characters', { attributes: new Map([['k'.repeat(65), '']]) }],
    ['event.attributes', 'with a key that JavaScript objects treat in a way of their own', { attributes: new Map([['__proto__', '']]) }],
    ['event.attributes', 'with a value of 2,049 characters', { attributes: new Map([['k', 'v'.repeat(2_049)]]) }],
    [
      'event.attributes',
      'with more than 12,288 characters in all values',
      { attributes: new Map(Array.from({ length: 7 }, (_, i) => [`k${i}`, 'v'.repeat(1_800)])) },
    ],
    ['event.attributes', 'with a control character', { attributes: new Map([['k', '\u001b[2J']]) }],
  ])('is refused with the name of its field: %s, %s', (field, _, change) => {
    let thrown: unknown;
    try {
      draftOf(event(change), source);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(AppError);
    expect(thrown).toMatchObject({ reason: 'INVALID_FIELD', violations: [{ field }] });
  });
});

const dropped = async (): Promise<number> => (await metrics.auditDropped.get()).values[0]?.value ?? 0;

describe('the entry of a call', () => {
  const call = (resource: string): Call =>
    ({
      row: { action: 'secrets.instance.create', audit: 'write', facts: ['reason'] },
      principal: 'spiffe://strongroom.internal/app',
      credentialId: '',
      resource,
      correlationId: 'c',
      traceId: '',
      sourceAddress: '::1',
      facts: {},
    }) as unknown as Call;

  it.each([
    ['U+0000', 'instances/a\u0000b'],
    ['an escape sequence', '\u001b[2J'],
    ['half a character', 'instances/\ud83d'],
    ['100,000 characters', 'é'.repeat(100_000)],
    ['an emoji where it is cut', `${'x'.repeat(510)}😀😀`],
  ])('is one that the log takes, whatever the caller sent as a name: %s', (_, resource) => {
    const one = eventOf(call(resource), { outcome: 'DENIED', code: 7, reason: 'PERMISSION_DENIED', attributes: { reason: resource } });
    expect(() => draftOf(one, source)).not.toThrow();
    expect(one.resource.length).toBeLessThanOrEqual(512);
  });

  it('names the resource of the call word for word, if it is a name', () => {
    expect(eventOf(call('instances/a')).resource).toBe('instances/a');
  });

  it('carries the attributes that its action lists, and of others only a metric tells', async () => {
    const before = await dropped();
    const { attributes } = eventOf(call('instances/a'), { attributes: { reason: 'why', key: 'not listed', replay: 'true' } });
    expect([...attributes]).toEqual([
      ['reason', 'why'],
      ['replay', 'true'],
    ]);
    expect((await dropped()) - before).toBe(1);
  });

  it('says what the catalogue says of its action, and which process tells of it', () => {
    expect(eventOf(call('instances/a'))).toMatchObject({ severity: Event_Severity.NORMAL, dataEvent: false, readOnly: false });
    const reads = { action: 'secrets.version.access', audit: 'read', facts: [], data: true } as const;
    const one = eventOf(call('instances/a'), { as: reads, outcome: 'DENIED', code: 7, reason: 'PERMISSION_DENIED' });
    expect(one).toMatchObject({ action: reads.action, severity: Event_Severity.CRITICAL, dataEvent: true, readOnly: true });
    expect(one.observer?.instance).toMatch(new RegExp(`-${process.pid}$`));
    expect(one.observer?.version).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
