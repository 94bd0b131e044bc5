// Unary gRPC calls on bare node:http2. It costs its process about a third of what a grpc-js client does, and so leaves the
// machine to what is measured.
import { readFileSync } from 'node:fs';
import { connect, constants, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2';
import { HOST, tlsFilesOf, type Caller, type Service, type Stack } from '../src/dev/stack.ts';
import { secureContext } from '../src/kernel/tls.ts';

export interface Reply {
  /** gRPC status code. */
  status: number;
  message: string;
  body: Buffer;
}

export interface Channel {
  call(path: string, request: Buffer): Promise<Reply>;
  close(): void;
}

const PREFIX_BYTES = 5;
const TIMEOUT = '10S';
const UNKNOWN = 2;

/** A message with its gRPC prefix: not compressed, length. */
export const frame = (message: Uint8Array): Buffer => {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length);
  framed[0] = 0;
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, PREFIX_BYTES);
  return framed;
};

const unframe = (chunks: readonly Buffer[]): Buffer => {
  const bytes = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  if (bytes.length < PREFIX_BYTES || bytes[0] !== 0 || bytes.readUInt32BE(1) !== bytes.length - PREFIX_BYTES)
    throw new Error('the reply is not one message as it was framed');
  return bytes.subarray(PREFIX_BYTES);
};

interface Answer {
  trailers: IncomingHttpHeaders;
  chunks: Buffer[];
}

const send = (session: ClientHttp2Session, path: string, request: Buffer): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: path,
      [constants.HTTP2_HEADER_TE]: 'trailers',
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      'grpc-timeout': TIMEOUT,
    });
    const chunks: Buffer[] = [];
    let last: IncomingHttpHeaders | undefined;
    let ended = false;
    const settle = (): void => {
      if (last && ended) resolve({ trailers: last, chunks });
    };
    // A reply without a message has its status in its only headers.
    stream.on('response', (headers) => headers['grpc-status'] !== undefined && (last = headers));
    stream.on('trailers', (headers) => {
      last = headers;
      settle();
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('end', () => {
      ended = true;
      settle();
    });
    stream.on('error', reject);
    stream.on('close', () => reject(new Error(`${path}: the connection closed before the reply had come`)));
    stream.end(request);
  });

const call = async (session: ClientHttp2Session, path: string, request: Buffer): Promise<Reply> => {
  const { trailers, chunks } = await send(session, path, request);
  const status = Number(trailers['grpc-status'] ?? UNKNOWN);
  const message = decodeURIComponent(String(trailers['grpc-message'] ?? ''));
  return { status, message, body: status === 0 ? unframe(chunks) : Buffer.alloc(0) };
};

/** Opens `connections` and gives calls to them in turn. */
export const openChannel = (stack: Stack, as: Caller | Service, port: number, connections: number): Channel => {
  const { certFile, keyFile, caFile } = tlsFilesOf(stack, as);
  const context = secureContext({ ca: readFileSync(caFile), cert: readFileSync(certFile), key: readFileSync(keyFile) });
  let closed = false;
  const open = (at: number): ClientHttp2Session => {
    const session = connect(`https://localhost:${port}`, { ...context, host: HOST, servername: 'localhost' });
    const replace = (): void => {
      if (!closed && sessions[at] === session) sessions[at] = open(at);
    };
    // Calls under way fail by themselves.
    session.on('error', () => undefined);
    // A server ends a connection of a certain age, with grace for what is under way.
    session.on('goaway', replace);
    session.on('close', replace);
    return session;
  };
  const sessions: ClientHttp2Session[] = [];
  for (let at = 0; at < connections; at++) sessions.push(open(at));
  let turn = 0;
  return {
    call: (path, request) => call(sessions[turn++ % connections]!, path, request),
    close: () => {
      closed = true;
      for (const session of sessions) session.close();
    },
  };
};
