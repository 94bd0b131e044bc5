// What a peer with a good certificate and bad manners can do: seen from a bare HTTP/2 client.
import diagnostics from 'node:diagnostics_channel';
import {
  connect as connectHttp2,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
  type Settings,
} from 'node:http2';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
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
    const note = (headers: { 'grpc-status'?: string | string[] | undefined }) => {
      if (headers['grpc-status'] !== undefined) resolve(String(headers['grpc-status']));
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.once('close', () => resolve(`reset ${stream.rstCode}`));
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

  it('that opens and resets calls without end is heard no longer, and harms nobody else', async () => {
    await using server = await startServer(site);
    await using peer = await open(server.port);
    let heard = 0;
    const count = (): void => void heard++;
    diagnostics.subscribe('http2.server.stream.start', count);
    for (let resets = 0; resets < 2_000 && !peer.session.destroyed; resets += 50) {
      const streams = Array.from({ length: 50 }, () => post(peer.session));
      // What is closed before it is sent never leaves.
      await new Promise((resolve) => setTimeout(resolve, 2));
      for (const stream of streams) stream.close(constants.NGHTTP2_CANCEL);
    }
    expect((await call(server.client())).code).toBe('OK');
    diagnostics.unsubscribe('http2.server.stream.start', count);
    expect(heard).toBeGreaterThan(900);
    expect(heard).toBeLessThan(1_500);
  });

  it.each([
    ['a method that does not exist', '/strongroom.keys.v1.EnvelopeService/GetScopes'],
    ['a service that does not exist', '/strongroom.Nothing/AtAll'],
    ['a path that is none', '/x'],
  ])('calling %s is told so, and recorded under what it asked for', async (_, path) => {
    await using server = await startServer(site);
    expect(await call(server.client(), undefined, { path })).toMatchObject({ code: 'UNIMPLEMENTED', info: { reason: 'UNIMPLEMENTED' } });
    expect(server.events).toMatchObject([
      { action: 'rpc.call.refuse', principal: APP, resource: path, outcome: 2, code: 12, reason: 'UNIMPLEMENTED' },
    ]);
  });

  it('calling what does not exist without ever ending its request is cut off as well', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      await using server = await startServer(site);
      await using peer = await open(server.port);
      const stream = post(peer.session, { ':path': '/x' });
      const ended = statusOf(stream);
      // The round trip of a ping: the server has seen the call by then.
      await new Promise((resolve) => peer.session.ping(resolve));
      vi.advanceTimersByTime(10_001);
      expect(await ended).toBe(`reset ${constants.NGHTTP2_CANCEL}`);
    } finally {
      vi.useRealTimers();
    }
  });

  it('with an endless path is recorded with its beginning', async () => {
    await using server = await startServer(site);
    expect((await call(server.client(), undefined, { path: `/${'x'.repeat(2_000)}` })).code).toBe('UNIMPLEMENTED');
    expect(server.events[0]?.resource).toBe(`/${'x'.repeat(255)}`);
  });

  it('with a message far over every limit is refused before all of it has come, and recorded', async () => {
    await using server = await startServer(site);
    await using peer = await open(server.port);
    const stream = post(peer.session);
    const head = Buffer.alloc(5);
    head.writeUInt32BE(8 * 1024 * 1024 + 1, 1);
    stream.write(head);
    expect(await statusOf(stream)).toBe('8');
    stream.close();
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
    await using peer = await open(server.port);
    const stream = post(peer.session, { 'grpc-encoding': 'zstd' });
    stream.end(Buffer.concat([Buffer.of(1), request.subarray(1)]));
    await statusOf(stream);
    await eventually(() => server.events.length === 1, 'it is recorded');
    expect(other.events).toEqual([]);
    expect(other.log.lines.filter((line) => line.message === 'call refused')).toEqual([]);
  });
});
