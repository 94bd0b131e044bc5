// Calls that end before any step of ours: messages over the library's limit, bad compression, a body that does not come. They are seen in the HTTP/2 streams, through Node's diagnostics channels: an answer of ours carries a
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

export interface WatchOptions {
  port: number;
  /** By path: how long the body of a request may take, milliseconds; without a limit if undefined. */
  bodyMs: (path: string) => number | undefined;
  onRefused: (refused: Refused) => void;
}

interface StreamStart {
  stream: ServerHttp2Stream;
  headers: IncomingHttpHeaders;
}

/** Statuses that are made without our steps; others also come when a handler of ours was at work. */
const MADE_WITHOUT_US = new Set<number>([status.UNIMPLEMENTED, status.RESOURCE_EXHAUSTED, status.INTERNAL, status.PERMISSION_DENIED]);

/** Calls `onRefused` for each call on `port` that never reached our steps. Returns a function that stops it. */
export const watchRefused = ({ port, bodyMs, onRefused }: WatchOptions): (() => void) => {
  const onStart = (message: unknown): void => {
    const { stream, headers } = message as StreamStart;
    // Read now: after the close of the connection the socket has forgotten its peer.
    const socket = stream.session?.socket;
    if (!socket || socket.localPort !== port) return;
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    const path = String(headers[constants.HTTP2_HEADER_PATH] ?? '');
    const refuse = (code: number): void => onRefused({ peer, method: path.slice(0, 256), code });

    // The library waits for a body without end, and our own deadline begins with the handler.
    const limit = bodyMs(path);
    const slow =
      limit === undefined
        ? undefined
        : setTimeout(() => {
            // What was answered before its body had come is reported at its close.
            if (!stream.headersSent) refuse(status.DEADLINE_EXCEEDED);
            stream.close(constants.NGHTTP2_CANCEL);
          }, limit);
    stream.once('end', () => clearTimeout(slow));
    stream.once('close', () => {
      clearTimeout(slow);
      const trailers = stream.sentTrailers ?? stream.sentHeaders;
      if (!trailers || trailers['x-request-id'] !== undefined) return;
      const code = Number(trailers['grpc-status'] ?? stream.sentHeaders?.['grpc-status'] ?? 0);
      if (MADE_WITHOUT_US.has(code)) refuse(code);
    });
  };
  diagnostics.subscribe('http2.server.stream.start', onStart);
  return () => void diagnostics.unsubscribe('http2.server.stream.start', onStart);
};
