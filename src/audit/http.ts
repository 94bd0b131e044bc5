// The log as files over HTTP (C2SP tlog-tiles), read only: paths that never change what they hold, and the checkpoint. Checkpoints and
// hashes tell nobody anything; entries tell who did what, so they go to configured readers only, and that is logged first.
import { createServer as createPlain, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecure } from 'node:https';
import type { TLSSocket } from 'node:tls';
import { AppError } from '../kernel/errors.ts';
import { identityOf, type SpiffeId } from '../kernel/identity.ts';
import { describe, type Log } from '../kernel/log.ts';
import type { EntryDraft } from '../kernel/table.ts';
import { secureContext, type Tls } from '../kernel/tls.ts';
import type { Audit } from './audit.ts';
import type { TilesConfig } from './config.ts';
import { contentOf, PRUNED } from './content.ts';
import { TILE_WIDTH } from './tiles.ts';
import { parsePath, type Piece } from './tlog-tiles.ts';

export interface TilesOptions {
  readonly config: TilesConfig;
  readonly trustDomain: string;
  readonly tls: Tls;
  readonly log: Log;
  readonly audit: Audit;
  /** Makes the entry of a reader; the entries do not leave before it is durable. */
  readonly record: (reader: SpiffeId, address: string, resource: string, draft: EntryDraft) => Promise<unknown>;
}

/** A bundle may have 16 MB, so this bounds the memory too. */
const MAX_UNDER_WAY = 32;
const MAX_CONNECTIONS = 512;
const DAY_S = 86_400;
const IMMUTABLE = `max-age=${365 * DAY_S}, immutable`;

interface Answer {
  status: number;
  body: Buffer | string;
  headers?: Record<string, string>;
}

const refuse = (status: number, body: string, headers: Record<string, string> = {}): Answer => ({
  status,
  body: `${body}\n`,
  headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store', ...headers },
});
const file = (body: Buffer, type: string, cache: string): Answer => ({
  status: 200,
  body,
  headers: { 'content-type': type, 'cache-control': cache },
});
const ABSENT = refuse(404, 'the log has no such file');
const BUSY = { 'retry-after': '1' };

/** Who is at the other end; undefined if it is nobody that this log knows. */
const readerOf = (request: IncomingMessage, trustDomain: string): SpiffeId | undefined => {
  const certificate = 'getPeerX509Certificate' in request.socket ? (request.socket as TLSSocket).getPeerX509Certificate() : undefined;
  if (!certificate || certificate.validToDate.getTime() < Date.now()) return undefined;
  const id = identityOf(certificate, trustDomain);
  return id instanceof AppError ? undefined : id;
};

const answerBundle = async (
  options: TilesOptions,
  request: IncomingMessage,
  piece: Piece,
  load: () => Promise<Answer>,
): Promise<Answer> => {
  const { config, trustDomain, record } = options;
  const reader = readerOf(request, trustDomain);
  const address = request.socket.remoteAddress ?? '';
  const first = piece.tile * BigInt(TILE_WIDTH);
  const resource = `log/${first}-${first + BigInt(piece.width) - 1n}`;
  if (!reader) return refuse(403, 'entries go to known readers only; hashes and checkpoints to everybody');
  if (config.readers.includes(reader)) {
    const answer = await load();
    if (answer.status === 200) await record(reader, address, resource, {});
    return answer;
  }
  await record(reader, address, resource, { outcome: 'DENIED', code: 7, reason: 'PERMISSION_DENIED' });
  return refuse(403, 'this identity may not read entries; ask for it to be added to tiles.readers');
};

const answer = async (options: TilesOptions, request: IncomingMessage): Promise<Answer> => {
  const { audit } = options;
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'only GET and HEAD are answered', { allow: 'GET, HEAD' });
  if (request.headers['content-length'] !== undefined || request.headers['transfer-encoding'] !== undefined)
    return refuse(400, 'a request has no body here');
  const state = await audit.writer.current();
  if (request.url === '/checkpoint')
    return file(Buffer.from(audit.publication.newest(state.checkpoint).note), 'text/plain; charset=utf-8', 'no-cache');
  // A path says all: with a query it is another one, which no cache could take for this one.
  const piece = parsePath((request.url ?? '').slice(1));
  if (!piece) return ABSENT;
  const load = async (): Promise<Answer> => {
    const content = await contentOf(audit.db, state, piece);
    if (content === undefined) return ABSENT;
    if (content === PRUNED) return refuse(410, 'these entries were removed after their time of retention; their hashes are still here');
    return file(content, 'application/octet-stream', piece.level === 'entries' ? `private, ${IMMUTABLE}` : `public, ${IMMUTABLE}`);
  };
  return piece.level === 'entries' ? answerBundle(options, request, piece, load) : load();
};

const send = (request: IncomingMessage, response: ServerResponse, { status, body, headers = {} }: Answer): void => {
  // What was not read of a request is not read any more.
  const close = status === 400 || status === 405 ? { connection: 'close' } : {};
  const all = { ...headers, ...close, 'content-length': Buffer.byteLength(body), 'x-content-type-options': 'nosniff' };
  response.writeHead(status, all);
  response.end(request.method === 'HEAD' ? undefined : body);
};

const listener = (options: TilesOptions): RequestListener => {
  let underWay = 0;
  return (request, response) => {
    if (underWay >= MAX_UNDER_WAY) {
      send(request, response, refuse(503, 'too much is asked at once; try again', BUSY));
      return;
    }
    underWay++;
    response.once('close', () => underWay--);
    answer(options, request)
      .catch((error: unknown) => {
        options.log.warn({ error: describe(error) }, 'a file of the log could not be given out');
        const corrupted = error instanceof AppError && error.reason === 'DATA_CORRUPTED';
        return corrupted ? refuse(500, error.message) : refuse(503, 'the log could not be read; try again', BUSY);
      })
      .then((given) => send(request, response, given))
      .catch((error: unknown) => {
        options.log.warn({ error: describe(error) }, 'an answer could not be sent');
        response.destroy();
      });
  };
};

const LIMITS = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 15_000,
  joinDuplicateHeaders: true,
};

const openServer = (options: TilesOptions): Server => {
  const handle = listener(options);
  if (options.config.plain) return createPlain(LIMITS, handle);
  const { tls, log } = options;
  const server = createSecure(
    { ...LIMITS, ...secureContext(tls.current), requestCert: true, rejectUnauthorized: true, handshakeTimeout: 5_000 },
    handle,
  );
  tls.onReload(() => server.setSecureContext(secureContext(tls.current)));
  server.on('tlsClientError', (error, socket) => {
    log.warn({ address: socket.remoteAddress ?? '', error: error.message }, 'a connection failed mutual TLS');
    socket.destroy();
  });
  return server;
};

export const serveTiles = async (options: TilesOptions): Promise<{ port: number } & AsyncDisposable> => {
  const { host, port } = options.config.listen;
  const server = openServer(options);
  server.maxConnections = MAX_CONNECTIONS;
  server.maxRequestsPerSocket = 10_000;
  // Who takes an answer too slowly is let go of.
  server.setTimeout(30_000);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const address = server.address();
  const bound = typeof address === 'object' && address ? address.port : port;
  options.log.info({ address: `${host}:${bound}` }, 'serving the log as files');
  return {
    port: bound,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
