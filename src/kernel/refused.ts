// Calls that the library answers by itself, before any step of ours: unknown methods, messages over its limit, bad
// compression. They are seen in the HTTP/2 streams, through Node's diagnostics channels: an answer of ours carries a
// request id in its trailers, an answer of the library does not.
import { status } from '@grpc/grpc-js';
import diagnostics from 'node:diagnostics_channel';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';

export interface Refused {
  /** `address:port`. */
  peer: string;
  /** As the caller sent it, at most 256 characters. */
  method: string;
  code: number;
}

interface StreamStart {
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
}

/** Statuses that only the library makes without us; others also come when a handler of ours was at work. */
const LIBRARY_MADE = new Set<number>([status.UNIMPLEMENTED, status.RESOURCE_EXHAUSTED, status.INTERNAL]);

/** Calls `onRefused` for each call on `port` that the library refused. Returns a function that stops it. */
export const watchRefused = (port: number, onRefused: (refused: Refused) => void): (() => void) => {
  const onStart = (message: unknown): void => {
    const { stream, headers } = message as StreamStart;
    stream.once('close', () => {
      const trailers = stream.sentTrailers ?? stream.sentHeaders;
      if (!trailers || trailers['x-request-id'] !== undefined) return;
      const code = Number(trailers['grpc-status'] ?? stream.sentHeaders?.['grpc-status'] ?? 0);
      if (!LIBRARY_MADE.has(code)) return;
      onRefused({ peer, method: String(headers[constants.HTTP2_HEADER_PATH] ?? '').slice(0, 256), code });
    });
    // Read now: after the close of the connection the socket has forgotten its peer.
    const socket = stream.session?.socket;
    const peer = socket && socket.localPort === port ? `${socket.remoteAddress}:${socket.remotePort}` : '';
  };
  diagnostics.subscribe('http2.server.stream.start', onStart);
  return () => void diagnostics.unsubscribe('http2.server.stream.start', onStart);
};
