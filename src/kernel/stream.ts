// Server streams: what the handler gives, sent as fast as the caller takes it. A stream ends with a status of ours: at its
// deadline, when this server stops, when its caller goes away, and within a second after its caller has lost the right to it.
import type { ServerWritableStream } from '@grpc/grpc-js';
import { once } from 'node:events';
import { eventOf, type Auditor } from './audit.ts';
import { tooSlow } from './epoch.ts';
import { AppError, toAppError, toStatus } from './errors.ts';
import { EXPIRED, exchangeOf, timeLimit, trailerOf } from './handlers.ts';
import type { Connection } from './listener.ts';
import { entryDeadline, type Exchange, type Next } from './steps.ts';
import type { StreamRow } from './table.ts';

/** Two of these and the age of what authorization knows are less than a second. */
const RECHECK_MS = 250;
const BOUND_MS = 1_000;
/** A connection is told to end after 9 to 11 minutes, and cut a minute later: a stream ends before that, and lasts a little. */
const CONNECTION_MS = 9 * 60_000 + 50_000;
const LEAST_MS = 50_000;

type Call = ServerWritableStream<unknown, unknown>;

const closed = (): AppError => new AppError('STREAM_CLOSED', 'the server stops, or the connection is too old; open the stream again');

/** Sends what the handler gives. The library buffers some 16 messages; then this waits for the caller. */
const pump = async (exchange: Exchange, call: Call, row: StreamRow<unknown, unknown>, auditor: Auditor): Promise<void> => {
  const { signal } = exchange;
  const iterator = row.handler(exchange.request, exchange)[Symbol.asyncIterator]();
  // Queued behind what the handler waits for; it has the signal too.
  const leave = () => void iterator.return?.().catch(() => undefined);
  signal.addEventListener('abort', leave, { once: true });
  for (;;) {
    const given = await iterator.next();
    signal.throwIfAborted();
    if (given.done) return;
    if (!exchange.begun && row.audit === 'read') await auditor.append([eventOf(exchange)], entryDeadline(exchange));
    exchange.begun = true;
    signal.throwIfAborted();
    if (!call.write(given.value)) await once(call, 'drain', { signal });
  }
};

/** Asks again and again whether the caller may still listen; no answer is no. */
const recheck = (exchange: Exchange, connection: Connection | undefined): (() => void) => {
  let asking: Promise<void> | undefined;
  let permittedAt = performance.now();
  const timer = setInterval(() => {
    if (!exchange.begun) permittedAt = performance.now();
    else if (connection && connection.validUntil < Date.now()) exchange.abort.abort(EXPIRED);
    else if (performance.now() - permittedAt > BOUND_MS) exchange.abort.abort(tooSlow());
    else {
      const askedAt = performance.now();
      asking ??= exchange
        .reauthorize()
        .then(
          () => void (permittedAt = askedAt),
          (error: unknown) => exchange.abort.abort(error),
        )
        .finally(() => (asking = undefined));
    }
  }, RECHECK_MS);
  return () => clearInterval(timer);
};

export interface Streams {
  handler: (method: string, row: StreamRow<unknown, unknown>) => (call: Call) => void;
  /** Ends all streams, and every one that is opened from now on. */
  close(): void;
}

export const openStreams = (next: Next, auditor: Auditor, connectionOf: (peer: string) => Connection | undefined): Streams => {
  const open = new Set<Exchange>();
  let stopped = false;
  return {
    handler: (method, row) => (call) => {
      const connection = connectionOf(call.getPeer());
      const exchange = exchangeOf({
        call,
        method,
        row,
        connection,
        longestMs: row.limits.longestMs,
        handle: () => pump(exchange, call, row, auditor),
      });
      const close = () => exchange.abort.abort(closed());
      const over = timeLimit(call, exchange, 'the stream has lasted as long as it may; open it again');
      const age = Math.max((connection?.since ?? 0) + CONNECTION_MS - Date.now(), LEAST_MS);
      const tooOld = setTimeout(close, age);
      const unwatch = recheck(exchange, connection);
      open.add(exchange);
      if (stopped) close();
      next(exchange)
        .then(
          () => call.end(trailerOf(exchange)),
          // The library takes the status from the event, once what was written before has left.
          (error: unknown) => call.emit('error', toStatus(toAppError(error, exchange.correlationId), exchange.correlationId)),
        )
        .finally(() => {
          // A handler that ended by itself may have left something behind that listens.
          exchange.abort.abort();
          open.delete(exchange);
          clearTimeout(tooOld);
          unwatch();
          over();
        });
    },
    close: () => {
      stopped = true;
      for (const exchange of open) exchange.abort.abort(closed());
    },
  };
};
