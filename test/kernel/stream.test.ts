// Server streams: what is sent arrives in order and as fast as it is read, and every stream ends with a status of ours.
import { Metadata, status, type Client, type ClientReadableStream, type StatusObject } from '@grpc/grpc-js';
import { once } from 'node:events';
import { connect as connectHttp2, type IncomingHttpHeaders, type SecureClientSessionOptions } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { EnvelopeServiceService, GetScopeRequest, Scope } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { AppError, denied, notFound } from '../../src/kernel/errors.ts';
import { register, type Call, type Registration, type StreamRow } from '../../src/kernel/table.ts';
import { decodeRefusal } from '../support/clients.ts';
import { APP, connect, contextOf, eventually, newSite, SERVICE, spiffe, startServer, type Site, type StartOptions } from './harness.ts';

let site: Site;
beforeAll(async () => {
  site = await newSite();
});
afterAll(() => site[Symbol.asyncDispose]());

const WATCH = `/${SERVICE}/WatchScope`;
type Source = (request: GetScopeRequest, call: Call) => AsyncIterable<Scope>;

const watchTable = (handler: Source, row: Partial<StreamRow<GetScopeRequest, Scope>> = {}): Registration =>
  register(
    { watchScope: { ...EnvelopeServiceService.getScope, path: WATCH, responseStream: true as const } },
    {
      watchScope: {
        action: 'keys.scope.watch',
        resource: (request) => ({ name: request.name }),
        audit: 'read',
        facts: [],
        limits: { requestBytes: 1_000, longestMs: 5_000 },
        handler,
        ...row,
      },
    },
  );
const start = (handler: Source, options: StartOptions = {}, row: Partial<StreamRow<GetScopeRequest, Scope>> = {}) =>
  startServer(site, { registrations: [watchTable(handler, row)], ...options });

const scope = (name: string): Scope => Scope.fromPartial({ name });
async function* count(to: number): AsyncGenerator<Scope> {
  for (let i = 1; i <= to; i++) yield scope(String(i));
}
/** One message at once, and then as many as time allows. */
async function* forever(_: GetScopeRequest, { signal }: Call): AsyncGenerator<Scope> {
  for (let i = 1; !signal.aborted; i++) {
    yield scope(String(i));
    await sleep(20);
  }
}

interface Watched {
  stream: ClientReadableStream<Scope>;
  names: string[];
  /** How it ended. */
  ended: Promise<{ code: string; reason: string; message: string; requestIds: unknown[]; atMs: number }>;
}
const watch = (client: Client, { deadlineMs = 4_000, name = 'scopes/a' } = {}): Watched => {
  const { requestSerialize, responseDeserialize } = EnvelopeServiceService.getScope;
  const options = { deadline: Date.now() + deadlineMs };
  const stream = client.makeServerStreamRequest(WATCH, requestSerialize, responseDeserialize, { name }, new Metadata(), options);
  const names: string[] = [];
  stream.on('data', (message: Scope) => names.push(message.name));
  const ended = new Promise<Awaited<Watched['ended']>>((resolve) => {
    stream.on('error', () => undefined);
    stream.on('status', (given) => {
      const { reason, message } = decodeRefusal(Object.assign<Error, StatusObject>(new Error(given.details), given));
      resolve({ code: status[given.code], reason, message, requestIds: given.metadata.get('x-request-id'), atMs: performance.now() });
    });
  });
  return { stream, names, ended };
};

describe('a table', () => {
  it('does not compile with a unary row for a stream, a stream for a unary method, or a stream of requests', () => {
    const { getScope } = EnvelopeServiceService;
    const row = { action: 'keys.scope.read', resource: () => ({ name: '' }), audit: 'read', facts: [] } as const;
    const unary = { ...row, limits: { requestBytes: 1, deadlineMs: 1 }, handler: async () => scope('') };
    const stream = { ...row, limits: { requestBytes: 1, longestMs: 1 }, handler: () => count(1) };
    // @ts-expect-error the method answers with a stream
    register({ m: { ...getScope, responseStream: true as const } }, { m: unary });
    // @ts-expect-error the method answers with one message
    register({ m: getScope }, { m: stream });
    // @ts-expect-error nobody serves this
    register({ m: { ...getScope, requestStream: true as const } }, { m: unary });
    expect(Object.keys(register({ m: getScope }, { m: unary }).table)).toEqual(['m']);
  });
});

describe('a stream', () => {
  it('brings every message in order, ends with OK and the request id, and leaves one entry', async () => {
    await using server = await start(() => count(300));
    const { names, ended } = watch(server.client());
    expect(await ended).toMatchObject({ code: 'OK', requestIds: [expect.any(String)] });
    expect(names).toEqual(Array.from({ length: 300 }, (_, i) => String(i + 1)));
    expect(server.events).toMatchObject([
      { action: 'keys.scope.watch', principal: APP, resource: 'scopes/a', outcome: Event_Outcome.SUCCESS },
    ]);
  });

  it('has its entry in the log before the first message leaves, with what the handler has found out', async () => {
    await using server = await start(async function* (_, call) {
      call.annotate({ instanceUid: 'found' });
      yield scope('one');
      yield scope(`entries: ${server.events.length}`);
    });
    const { names, ended } = watch(server.client());
    await ended;
    expect(names).toEqual(['one', 'entries: 1']);
    expect(server.events).toMatchObject([{ instanceUid: 'found' }]);
  });

  it('sends nothing when the audit log is out of reach', async () => {
    await using server = await start(() => count(3));
    server.auditor.failure = new AppError('AUDIT_UNAVAILABLE', 'the audit log could not be reached');
    const { names, ended } = watch(server.client());
    expect(await ended).toMatchObject({ code: 'UNAVAILABLE', reason: 'AUDIT_UNAVAILABLE' });
    expect(names).toEqual([]);
  });

  it('is refused like any call: a denied one, one that finds nothing, one whose request is too large', async () => {
    const handler: Source = async function* ({ name }) {
      if (name === 'scopes/none') throw notFound('scope', name);
      yield scope(name);
    };
    const authorize: StartOptions['authorize'] = async (call, { name }) => {
      if (name === 'scopes/hidden') throw denied(call.action, name);
    };
    await using server = await start(handler, { authorize });
    const client = server.client();
    const ends = [];
    for (const name of ['scopes/hidden', 'scopes/none', 'x'.repeat(1_001)]) ends.push(await watch(client, { name }).ended);
    expect(ends).toMatchObject([
      { code: 'PERMISSION_DENIED', reason: 'PERMISSION_DENIED' },
      { code: 'NOT_FOUND', reason: 'NOT_FOUND' },
      { code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE' },
    ]);
    expect(server.events.map(({ outcome }) => outcome)).toEqual([Event_Outcome.DENIED, Event_Outcome.FAILURE, Event_Outcome.FAILURE]);
    await using closed = await start(handler, { config: { allow: { [SERVICE]: [spiffe('operator')] } } });
    expect(await watch(closed.client()).ended).toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it('whose handler fails in the middle says so as a call does, and tells nothing of the cause', async () => {
    await using server = await start(async function* () {
      yield scope('one');
      throw new Error('password=hunter2');
    });
    const { names, ended } = watch(server.client());
    expect(await ended).toMatchObject({ code: 'INTERNAL', reason: 'INTERNAL', message: expect.not.stringContaining('hunter2') });
    expect(names).toEqual(['one']);
  });

  it('waits for a caller who does not read, with some messages in between at most', async () => {
    let given = 0;
    await using server = await start(async function* () {
      for (; given < 500; given++) yield scope('x'.repeat(10_000));
    });
    // The library's own client reads on by itself, so this one is bare.
    const { ca, cert, key } = contextOf(site, site.app);
    const session = connectHttp2(`https://localhost:${server.port}`, {
      host: '127.0.0.1',
      checkServerIdentity: () => undefined,
      ...({ ca, cert, key } as SecureClientSessionOptions),
    });
    const stream = session.request({ ':method': 'POST', ':path': WATCH, 'content-type': 'application/grpc', te: 'trailers' });
    const request = Buffer.from(GetScopeRequest.encode({ name: 'scopes/a' }).finish());
    stream.end(Buffer.concat([Buffer.of(0, 0, 0, 0, request.length), request]));
    await eventually(() => given > 0, 'the first message');
    await sleep(300);
    const before = given;
    expect(before).toBeLessThan(100);
    await sleep(200);
    expect(given).toBe(before);
    let bytes = 0;
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
    const [trailers] = (await once(stream, 'trailers')) as [IncomingHttpHeaders];
    expect(trailers['grpc-status']).toBe('0');
    expect(bytes).toBeGreaterThan(500 * 10_000);
    session.close();
  });
});

describe('the end of a stream', () => {
  it('comes at the longest time that its method allows, or at the deadline of the caller', async () => {
    await using server = await start(forever, {}, { limits: { requestBytes: 1_000, longestMs: 300 } });
    const begun = performance.now();
    const end = await watch(server.client()).ended;
    expect(end).toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      reason: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('open it again'),
    });
    expect(end.atMs - begun).toBeLessThan(1_000);
    expect(await watch(server.client(), { deadlineMs: 200 }).ended).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    // It began, so it has its one entry, and no other.
    await eventually(() => server.events.length === 2, 'both are recorded');
    expect(server.events.map(({ outcome }) => outcome)).toEqual([Event_Outcome.SUCCESS, Event_Outcome.SUCCESS]);
  });

  it('comes when the caller goes away, and the handler knows', async () => {
    let cleaned = 0;
    await using server = await start(async function* (request, call) {
      try {
        yield* forever(request, call);
      } finally {
        cleaned++;
      }
    });
    const { stream, names } = watch(server.client());
    await eventually(() => names.length > 2, 'messages');
    stream.cancel();
    await eventually(() => cleaned === 1, 'the handler has ended');
  });

  it('comes within a second after the right to it was taken away, and is recorded', async () => {
    let permitted = true;
    const authorize: StartOptions['authorize'] = async (call, { name }) => {
      if (!permitted) throw denied(call.action, name);
    };
    await using server = await start(forever, { authorize });
    const { names, ended } = watch(server.client());
    await eventually(() => names.length > 2, 'messages');
    permitted = false;
    const revoked = performance.now();
    const end = await ended;
    expect(end).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'PERMISSION_DENIED' });
    expect(end.atMs - revoked).toBeLessThan(1_000);
    expect(server.events.map(({ outcome }) => outcome)).toEqual([Event_Outcome.SUCCESS, Event_Outcome.DENIED]);
  });

  it('comes when the certificate of its caller ends', async () => {
    await using server = await start(forever);
    const brief = await site.authority.issue({ uris: [APP], notAfter: new Date(Date.now() + 1_500) });
    const end = await watch(server.client(contextOf(site, brief))).ended;
    expect(end).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'IDENTITY_INVALID' });
  });

  it('comes when nobody can say any more whether the caller has the right', async () => {
    let asked = 0;
    const authorize: StartOptions['authorize'] = () => (asked++ === 0 ? Promise.resolve() : new Promise(() => undefined));
    await using server = await start(forever, { authorize });
    const begun = performance.now();
    const end = await watch(server.client()).ended;
    expect(end).toMatchObject({ code: 'UNAVAILABLE', reason: 'DATABASE_UNAVAILABLE' });
    expect(end.atMs - begun).toBeLessThan(2_000);
  });

  it('comes at a stop, as UNAVAILABLE, so that the caller connects to another; the stop does not wait for it', async () => {
    const server = await start(forever, { config: { drain: 5_000 } });
    const client = connect(server.port, contextOf(site, site.app));
    const { names, ended } = watch(client);
    await eventually(() => names.length > 2, 'messages');
    const begun = performance.now();
    await server[Symbol.asyncDispose]();
    expect(performance.now() - begun).toBeLessThan(1_500);
    expect(await ended).toMatchObject({ code: 'UNAVAILABLE', reason: 'STREAM_CLOSED' });
    client.close();
  });
});
