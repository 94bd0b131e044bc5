// What readers find in the audit log, on a real database without a stack: every filter, both orders, the stream, the counts.
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Audit } from '../../src/audit/audit.ts';
import { draftOf } from '../../src/audit/event.ts';
import { withNews } from '../../src/audit/news.ts';
import { openSigner } from '../../src/audit/note.ts';
import { openPublication } from '../../src/audit/publication.ts';
import { getEntry } from '../../src/audit/rpc/get-entry.ts';
import { getInclusionProof } from '../../src/audit/rpc/get-inclusion-proof.ts';
import { getLogStatistics } from '../../src/audit/rpc/get-log-statistics.ts';
import { listEntries } from '../../src/audit/rpc/list-entries.ts';
import { tailEntries } from '../../src/audit/rpc/tail-entries.ts';
import { openOutside } from '../../src/audit/outside.ts';
import { openWriter } from '../../src/audit/writer.ts';
import { ROOT } from '../../src/dev/stack.ts';
import {
  Event,
  Event_Outcome as Outcome,
  Event_Severity as Severity,
  GetLogStatisticsRequest,
  ListEntriesRequest,
  TailEntriesRequest,
} from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import { pageTokens } from '../../src/kernel/page.ts';
import type { Call } from '../../src/kernel/table.ts';
import { READER, WHOLE_LOG } from '../support/audit-reader.ts';
import { append as appendOne } from './scratch-log.ts';
import { scratchDatabase, silentLog, type Scratch } from './scratch.ts';

const store = parseSpiffeId('spiffe://strongroom.internal/service/store')!;
const [ONE, TWO] = ['0190a5c0-0000-7000-8000-000000000001', '0190a5c0-0000-7000-8000-000000000002'];
const app = 'spiffe://strongroom.internal/app';

const EVENTS: Partial<Event>[] = [
  { action: 'secrets.version.access', resource: 'instances/a/groups/g/secrets/s/versions/1', instanceUid: ONE },
  { action: 'secrets.version.create', resource: 'instances/a/groups/g/secrets/s/versions/2', instanceUid: ONE, correlationId: 'c1' },
  {
    action: 'secrets.version.access',
    resource: 'instances/ab',
    instanceUid: TWO,
    outcome: Outcome.DENIED,
    code: 7,
    severity: Severity.CRITICAL,
  },
  { action: 'secrets.versions.list', resource: 'instances/a', instanceUid: ONE, severity: Severity.WARNING },
  { action: 'keys.dek.unwrap', resource: 'scopes/x', principal: store, onBehalfOf: app, instanceUid: ONE, correlationId: 'c1' },
  { action: 'secrets.secret.read', resource: 'instances/b', outcome: Outcome.FAILURE, code: 5, instanceUid: TWO },
];

const at = (second: number): Date => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
let scratch: Scratch;
let audit: Audit;
const append = (change: Partial<Event>) => {
  const base = { eventId: uuidv7(), occurTime: at(0), principal: app, outcome: Outcome.SUCCESS, action: 'a.b.c' };
  return appendOne(audit.writer, draftOf(Event.fromPartial({ ...base, ...change }), store));
};

beforeAll(async () => {
  scratch = await scratchDatabase(inject('stack'), join(ROOT, 'src/audit/migrations'));
  const db = scratch.open();
  const signer = openSigner('test.example/log', Buffer.alloc(32, 3));
  const { writer, news } = withNews(
    await openWriter({ db, signer, log: silentLog, outside: openOutside([], signer.verifiers, silentLog) }),
  );
  audit = {
    db,
    writer,
    verifier: signer.verifier,
    publication: openPublication(signer),
    pages: pageTokens(Buffer.alloc(32)),
    ...WHOLE_LOG,
    news,
  };
  for (const one of EVENTS) await append(one);
  // Entry n was recorded at second 10 × n.
  await scratch.sql(`update entries set record_time = '2026-01-01T00:00:00Z'::timestamptz + index * interval '10 seconds'`);
});
afterAll(async () => {
  await audit.writer[Symbol.asyncDispose]();
  await scratch[Symbol.asyncDispose]();
});

const list = (request: Partial<ListEntriesRequest>) => listEntries(audit, ListEntriesRequest.fromPartial(request), READER);
const found = async (request: Partial<ListEntriesRequest>): Promise<number[]> =>
  (await list({ oldestFirst: true, ...request })).entries.map(({ index }) => Number(index));

describe('a list of entries', () => {
  it.each<[string, Partial<ListEntriesRequest>, number[]]>([
    ['nothing', {}, [0, 1, 2, 3, 4, 5]],
    ['an action', { action: 'secrets.version.access' }, [0, 2]],
    ['the beginning of an action, at a dot and nowhere else', { action: 'secrets.version.*' }, [0, 1, 2]],
    ['a resource and all below it, but none that only begins alike', { resource: 'instances/a' }, [0, 1, 3]],
    ['a principal, also as the end caller', { principal: app, action: 'keys.*' }, [4]],
    ['an outcome', { outcome: Outcome.DENIED }, [2]],
    ['the usual outcome', { outcome: Outcome.SUCCESS }, [0, 1, 3, 4]],
    ['a severity', { severity: Severity.CRITICAL }, [2]],
    ['routine', { severity: Severity.NORMAL }, [0, 1, 4, 5]],
    ['an instance', { instanceUid: TWO }, [2, 5]],
    ['a correlation id', { correlationId: 'c1' }, [1, 4]],
    ['a time to begin with', { startTime: at(30) }, [3, 4, 5]],
    ['a time between two entries', { startTime: at(31) }, [4, 5]],
    ['a time to end before', { endTime: at(30) }, [0, 1, 2]],
    ['a window', { startTime: at(10), endTime: at(21) }, [1, 2]],
    ['a window after all', { startTime: at(3_600) }, []],
    ['a window before all', { endTime: at(0) }, []],
    ['an index', { minIndex: 4n }, [4, 5]],
    ['several things at once', { instanceUid: ONE, outcome: Outcome.SUCCESS, startTime: at(10), action: 'secrets.*' }, [1, 3]],
  ])('is narrowed by %s', async (_, request, expected) => {
    expect(await found(request)).toEqual(expected);
  });

  it.each([false, true])('comes in pages, newest first or oldest first (%s), each entry once', async (oldestFirst) => {
    const seen: bigint[] = [];
    let pageToken = '';
    do {
      const page = await list({ pageSize: 2, pageToken, oldestFirst, startTime: at(10) });
      seen.push(...page.entries.map(({ index }) => index));
      ({ nextPageToken: pageToken } = page);
    } while (pageToken !== '');
    const expected = [1n, 2n, 3n, 4n, 5n];
    expect(seen).toEqual(oldestFirst ? expected : expected.toReversed());
  });

  it('does not go on with the token of another list', async () => {
    const { nextPageToken: pageToken } = await list({ pageSize: 1 });
    await expect(list({ pageSize: 1, pageToken, oldestFirst: true })).rejects.toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
  });

  it.each<[string, Partial<ListEntriesRequest>]>([
    ['outcome', { outcome: 9 as never }],
    ['severity', { severity: -1 as never }],
    ['instance_uid', { instanceUid: 'x' }],
    ['end_time', { startTime: at(2), endTime: at(1) }],
    ['min_index', { minIndex: -1n }],
  ])('refuses a filter that is none, naming %s', async (field, request) => {
    await expect(list(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
  });
});

describe('the counts of a window', () => {
  const count = (request: Partial<GetLogStatisticsRequest>) =>
    getLogStatistics(audit, GetLogStatisticsRequest.fromPartial(request), READER);

  it('are by action and outcome, with the times of the first and the last entry', async () => {
    const { counts, ...rest } = await count({ endTime: at(30) });
    expect(rest).toMatchObject({ entryCount: 3n, firstTime: at(0), lastTime: at(20), truncated: false });
    expect(counts).toEqual([
      { action: 'secrets.version.access', outcome: Outcome.SUCCESS, count: 1n },
      { action: 'secrets.version.access', outcome: Outcome.DENIED, count: 1n },
      { action: 'secrets.version.create', outcome: Outcome.SUCCESS, count: 1n },
    ]);
    expect((await count({ instanceUid: TWO })).entryCount).toBe(2n);
    expect(await count({ startTime: at(3_600) })).toMatchObject({ entryCount: 0n, firstTime: undefined, counts: [] });
  });
});

describe('the auditor of one instance', () => {
  const restricted = (): Audit => ({ ...audit, readers: { sees: () => Promise.resolve([TWO]) } });
  const notFound = { reason: 'NOT_FOUND', message: expect.stringContaining('entry') as string };

  it('finds what belongs to it and nothing else, whatever he asks for', async () => {
    const of = async (request: Partial<ListEntriesRequest>) =>
      (await listEntries(restricted(), ListEntriesRequest.fromPartial(request), READER)).entries.map(({ index }) => Number(index));
    expect(await of({})).toEqual([5, 2]);
    expect(await of({ instanceUid: TWO })).toEqual([5, 2]);
    expect(await of({ instanceUid: ONE })).toEqual([]);
    expect(await of({ resource: 'instances/a' })).toEqual([]);
    const several: Audit = { ...audit, readers: { sees: () => Promise.resolve([ONE, TWO]) } };
    expect((await listEntries(several, ListEntriesRequest.fromPartial({}), READER)).entries).toHaveLength(EVENTS.length);
    const { entryCount } = await getLogStatistics(restricted(), GetLogStatisticsRequest.fromPartial({}), READER);
    expect(entryCount).toBe(2n);
  });

  it('gets his entries and their proofs; another one looks like one that is not there', async () => {
    expect(await getEntry(restricted(), { index: 2n }, READER)).toMatchObject({ index: 2n });
    expect((await getInclusionProof(restricted(), { index: 2n, treeSize: 0n, cosigned: false }, READER)).receipt).toContain('index 2\n');
    for (const index of [1n, 1_000_000n]) {
      await expect(getEntry(restricted(), { index }, READER)).rejects.toMatchObject(notFound);
      await expect(getInclusionProof(restricted(), { index, treeSize: 0n, cosigned: false }, READER)).rejects.toMatchObject(notFound);
    }
  });
});

describe('a stream of entries', () => {
  const follow = (request: Partial<TailEntriesRequest>, on = audit) => {
    const stop = new AbortController();
    const told: Event[] = [];
    const auditor: Audit['auditor'] = { append: (events) => Promise.resolve(events.map((event) => BigInt(told.push(event)))) };
    const call: Call = { ...READER, signal: stop.signal };
    const stream = tailEntries({ ...on, auditor }, TailEntriesRequest.fromPartial(request), call);
    return { stream, told, stop };
  };
  const next = async ({ stream }: ReturnType<typeof follow>) => {
    const { value, done } = await stream.next();
    if (done) throw new Error('the stream has ended');
    return { indexes: value.entries.map(({ index }) => Number(index)), nextIndex: value.nextIndex };
  };

  it('begins where it is asked to, tells at once that it has begun, and goes on with what comes', async () => {
    const tail = follow({ startIndex: 4n });
    expect(await next(tail)).toEqual({ indexes: [], nextIndex: 4n });
    expect(await next(tail)).toEqual({ indexes: [4, 5], nextIndex: 6n });
    const waiting = next(tail);
    const start = performance.now();
    const index = await append({ instanceUid: TWO });
    expect(await waiting).toEqual({ indexes: [Number(index)], nextIndex: index + 1n });
    // Woken, and not by the clock; with room for a busy machine.
    expect(performance.now() - start).toBeLessThan(240);
    await tail.stream.return(undefined);
    expect(tail.told.map(({ action, attributes }) => [action, attributes.get('endIndex')])).toEqual([
      ['audit.entry.tail.end', String(index + 1n)],
    ]);
  });

  it('begins with what comes next if it is not told where, and resumes without a gap or a repeat', async () => {
    const first = follow({});
    const { nextIndex } = await next(first);
    const made = [await append({}), await append({}), await append({})].map(Number);
    const again = follow({ startIndex: nextIndex });
    await next(again);
    const seen: number[] = [];
    while (seen.length < 3) seen.push(...(await next(again)).indexes);
    expect(seen).toEqual(made);
    await Promise.all([first, again].map(({ stream }) => stream.return(undefined)));
  });

  it('shows what fits a filter, and the auditor of an instance what belongs to it', async () => {
    const filtered = follow({ startIndex: 0n, action: 'secrets.version.*' });
    await next(filtered);
    expect((await next(filtered)).indexes).toEqual([0, 1, 2]);
    const restricted = follow({ startIndex: 0n }, { ...audit, readers: { sees: () => Promise.resolve([ONE]) } });
    await next(restricted);
    expect((await next(restricted)).indexes).toEqual([0, 1, 3, 4]);
    await Promise.all([filtered, restricted].map(({ stream }) => stream.return(undefined)));
  });

  it('hears of what another process has written within some 250 ms', async () => {
    const other = withNews(audit.writer).news;
    const tail = follow({}, { ...audit, news: other });
    await next(tail);
    const waiting = next(tail);
    const index = await append({});
    expect((await waiting).indexes).toEqual([Number(index)]);
    await tail.stream.return(undefined);
  });

  it('reads one page when it is asked for one: a caller that takes nothing costs nothing', async () => {
    let reads = 0;
    const counting: Audit = {
      ...audit,
      db: { ...audit.db, read: { query: (statement) => (reads++, audit.db.read.query(statement)) } },
    };
    await Promise.all(Array.from({ length: 600 }, () => append({})));
    const tail = follow({ startIndex: 0n }, counting);
    await next(tail);
    expect((await next(tail)).indexes).toHaveLength(256);
    const before = reads;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(reads).toBe(before);
    expect((await next(tail)).indexes).toHaveLength(256);
    await tail.stream.return(undefined);
  });

  it('ends with an entry also when its caller goes away while it waits', async () => {
    const tail = follow({});
    await next(tail);
    const waiting = next(tail);
    tail.stop.abort(new AppError('CANCELLED', 'the caller went away'));
    await expect(waiting).rejects.toThrow();
    expect(tail.told).toHaveLength(1);
  });
});
