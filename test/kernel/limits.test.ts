// What a peer with a good certificate and bad manners can do: seen from a bare HTTP/2 client.
import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
  type Settings,
} from 'node:http2';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GetScopeRequest } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { APP, call, echo, eventually, GET_SCOPE, newSite, scopeTable, startServer, type Site } from './harness.ts';

let site: Site;
beforeAll(async () => {
  site = await newSite();
});
afterAll(() => site[Symbol.asyncDispose]());

const open = async (port: number): Promise<{ session: ClientHttp2Session; settings: Settings } & AsyncDisposable> => {
  const session = connectHttp2(`https://localhost:${port}`, {
    host: '127.0.0.1',
    ca: site.authority.cert,
    cert: site.app.cert,
    key: site.app.key,
    checkServerIdentity: () => undefined,
  });
  session.on('error', () => undefined);
  const settings = await new Promise<Settings>((resolve) => session.once('remoteSettings', resolve));
  return { session, settings, [Symbol.asyncDispose]: async () => session.destroy() };
};

const frame = (message: Uint8Array): Buffer => {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
};
const request = frame(GetScopeRequest.encode({ name: 'scopes/a' }).finish());
const post = (session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream => {
  const stream = session.request({ ':method': 'POST', ':path': GET_SCOPE, 'content-type': 'application/grpc', te: 'trailers', ...headers });
  stream.on('error', () => undefined);
  return stream;
};
/** The status that a stream ends with; or how it was reset. */
const statusOf = (stream: ClientHttp2Stream): Promise<string> =>
  new Promise((resolve) => {
    let status: string | undefined;
    const note = (headers: { 'grpc-status'?: string | string[] | undefined }) =>
      (status = headers['grpc-status'] === undefined ? status : String(headers['grpc-status']));
    stream.on('response', note);
    stream.on('trailers', note);
    stream.once('close', () => resolve(status ?? `reset ${stream.rstCode}`));
    stream.resume();
  });

describe('a peer with bad manners', () => {
  it('is told to have no more than 256 calls at once and no more than 16 KiB of headers', async () => {
    await using server = await startServer(site);
    await using peer = await open(server.port);
    expect(peer.settings).toMatchObject({ maxConcurrentStreams: 256, maxHeaderListSize: 16_384 });
  });

  it('with headers beyond that gets no answer, and one below them does', async () => {
    await using server = await startServer(site);
    await using peer = await open(server.port);
    const send = (bytes: number) => {
      const stream = post(peer.session, { 'x-filler': 'x'.repeat(bytes) });
      stream.end(request);
      return statusOf(stream);
    };
    expect(await send(12_000)).toBe('0');
    expect(await send(20_000)).toMatch(/^reset/);
    expect(server.events).toHaveLength(1);
  });

  it('that never sends the body of its call is cut off when the time of the call is over, and that is recorded', async () => {
    const registrations = [scopeTable(echo, { limits: { requestBytes: 1_000, deadlineMs: 300 } })];
    await using server = await startServer(site, { registrations });
    await using peer = await open(server.port);
    const [silent, slow] = [post(peer.session), post(peer.session)];
    slow.write(request.subarray(0, 7));
    const begun = performance.now();
    expect(await Promise.all([statusOf(silent), statusOf(slow)])).toEqual([
      `reset ${constants.NGHTTP2_CANCEL}`,
      `reset ${constants.NGHTTP2_CANCEL}`,
    ]);
    expect(performance.now() - begun).toBeGreaterThan(250);
    await eventually(() => server.events.length === 2, 'both are recorded');
    expect(server.events[0]).toMatchObject({
      action: 'rpc.call.refuse',
      principal: APP,
      resource: GET_SCOPE,
      code: 4,
      reason: 'SLOW_BODY',
    });
    // And the connection still serves.
    const good = post(peer.session);
    good.end(request);
    expect(await statusOf(good)).toBe('0');
  });

  it('that opens and resets calls without end is cut off', async () => {
    await using server = await startServer(site);
    await using peer = await open(server.port);
    let ended = false;
    peer.session.once('close', () => (ended = true));
    for (let i = 0; i < 3_000 && !ended; i++) {
      post(peer.session).close(constants.NGHTTP2_CANCEL);
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await eventually(() => ended, 'the connection is closed');
    expect((await call(server.client())).code).toBe('OK');
  });

  it.each([
    ['a method that does not exist', '/strongroom.keys.v1.EnvelopeService/GetScopes'],
    ['a service that does not exist', '/strongroom.Nothing/AtAll'],
    ['a path that is none', '/x'],
  ])('calling %s is told so, and recorded under what it asked for', async (_, path) => {
    await using server = await startServer(site);
    expect((await call(server.client(), undefined, { path })).code).toBe('UNIMPLEMENTED');
    await eventually(() => server.events.length === 1, 'it is recorded');
    expect(server.events[0]).toMatchObject({
      action: 'rpc.call.refuse',
      principal: APP,
      resource: path,
      outcome: 2,
      code: 12,
      reason: 'UNKNOWN_METHOD',
    });
    expect(server.log.lines).toContainEqual(expect.objectContaining({ message: 'call refused', method: path, reason: 'unknown_method' }));
  });

  it('with an endless path is recorded with its beginning', async () => {
    await using server = await startServer(site);
    expect((await call(server.client(), undefined, { path: `/${'x'.repeat(2_000)}` })).code).toBe('UNIMPLEMENTED');
    await eventually(() => server.events.length === 1, 'it is recorded');
    expect(server.events[0]?.resource).toBe(`/${'x'.repeat(255)}`);
  });

  it('with a message over what the library takes is refused before it is held in memory, and recorded', async () => {
    await using server = await startServer(site);
    expect((await call(server.client(), Buffer.alloc(4 * 1024 * 1024 + 1))).code).toBe('RESOURCE_EXHAUSTED');
    await eventually(() => server.events.length === 1, 'it is recorded');
    expect(server.events[0]).toMatchObject({ action: 'rpc.call.refuse', resource: GET_SCOPE, code: 8, reason: 'TOO_LARGE' });
  });

  it('with a compression that nobody knows, or one that is broken, is refused and recorded, and the process lives', async () => {
    await using server = await startServer(site);
    await using peer = await open(server.port);
    for (const encoding of ['zstd', 'gzip']) {
      const stream = post(peer.session, { 'grpc-encoding': encoding });
      const compressed = frame(Buffer.from('not compressed'));
      compressed[0] = 1;
      stream.end(compressed);
      expect(await statusOf(stream)).toBe(encoding === 'zstd' ? '12' : '13');
    }
    await eventually(() => server.events.length === 2, 'both are recorded');
    expect(server.events.map((event) => event.reason)).toEqual(['UNKNOWN_METHOD', 'MALFORMED']);
  });

  it('at one server is not reported by another in the same process', async () => {
    await using server = await startServer(site);
    await using other = await startServer(site);
    expect((await call(server.client(), undefined, { path: '/x' })).code).toBe('UNIMPLEMENTED');
    await eventually(() => server.events.length === 1, 'it is recorded');
    expect(other.events).toEqual([]);
    expect(other.log.lines.filter((line) => line.message === 'call refused')).toEqual([]);
  });
});
