// The library's handlers of our rows: what comes in is decoded within limits, becomes an exchange, passes the steps, and
// goes out as a reply or as an error of ours.
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { Metadata, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { AppError, toAppError, toStatus } from './errors.ts';
import type { SpiffeId } from './identity.ts';
import type { Connection } from './listener.ts';
import type { Exchange, Next } from './steps.ts';
import { REFUSED, type MethodDefinition, type Row, type StreamRow } from './table.ts';
import { traceIdOf } from './trace.ts';
import { newUid } from './uid.ts';

/** Timers of the library and of callers may fire this much before ours. */
const CLOCK_MS = 5;
const CORRELATION_ID = /^[A-Za-z0-9._-]{1,64}$/;
const UNKNOWN_PEER = new AppError('IDENTITY_INVALID', 'the connection is not known');
export const EXPIRED = new AppError('IDENTITY_INVALID', 'the client certificate has expired; connect again with a new one');

/** Refuses what is not well-formed, which the generated code would repair: a secret must not change on its way. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export type AnyRow = Row<unknown, unknown> | StreamRow<unknown, unknown>;
/** What a call of the library has, whether one message or many go back. */
type LibraryCall = Pick<ServerUnaryCall<unknown, unknown>, 'request' | 'metadata' | 'getPeer' | 'getDeadline' | 'once'>;

/** Decodes within the row's limit; what is wrong becomes an error of ours in place of the library's bare status. */
export const decoder =
  (method: MethodDefinition, { limits }: AnyRow) =>
  (bytes: Buffer): unknown => {
    if (bytes.length > limits.requestBytes) {
      return new AppError('MESSAGE_TOO_LARGE', `the request has ${bytes.length} bytes; at most ${limits.requestBytes} are taken`, {
        metadata: { bytes: String(bytes.length), limit: String(limits.requestBytes) },
      });
    }
    const reader = new BinaryReader(bytes, (text) => UTF8.decode(text));
    try {
      // Generated code takes a reader as well; its signature does not say so.
      const request = method.requestDeserialize(reader as unknown as Buffer);
      // It takes what stands before a tag of zero for the whole message.
      if (reader.pos === reader.len) return request;
    } catch {
      // The same answer as for what is left over.
    }
    return new AppError('MALFORMED_MESSAGE', 'the request is not a valid protobuf message of the expected type, its texts in UTF-8');
  };

const correlationOf = (call: LibraryCall): string => {
  const [sent] = call.metadata.get('x-correlation-id');
  return typeof sent === 'string' && CORRELATION_ID.test(sent) ? sent : newUid();
};

/** None but a valid one is passed on. */
const traceOf = (call: LibraryCall): { traceparent: string; traceId: string } => {
  const [sent] = call.metadata.get('traceparent');
  const traceId = typeof sent === 'string' ? traceIdOf(sent) : '';
  return { traceparent: traceId === '' ? '' : String(sent), traceId };
};

export interface Incoming {
  call: LibraryCall;
  method: string;
  row: Exchange['row'];
  connection: Connection | undefined;
  /** How long the call may last, whatever its caller says. */
  longestMs: number;
  handle: Next;
}

export const exchangeOf = ({ call, method, row, connection, longestMs, handle }: Incoming): Exchange => {
  const now = Date.now();
  const identity = !connection ? UNKNOWN_PEER : connection.validUntil < now ? EXPIRED : connection.identity;
  const callerDeadline = Number(call.getDeadline());
  const deadline = Math.min(Number.isFinite(callerDeadline) ? callerDeadline : Infinity, now + longestMs);
  const abort = new AbortController();
  return {
    row,
    handle,
    request: call.request,
    identity,
    principal: '' as SpiffeId,
    credentialId: connection?.credentialId ?? '',
    method,
    action: row.action,
    resource: row.action === REFUSED.action ? method : '',
    correlationId: correlationOf(call),
    ...traceOf(call),
    sourceAddress: connection?.address ?? '',
    deadline,
    signal: abort.signal,
    facts: {},
    drafts: undefined,
    lastCheck: undefined,
    reauthorize: () => Promise.resolve(),
    begun: false,
    annotate(facts) {
      this.facts = { ...this.facts, ...facts };
    },
    entries(drafts) {
      this.drafts = drafts;
    },
    guard(check) {
      this.lastCheck = check;
    },
    abort,
  };
};

/** One for all: an abort without a reason makes an error with a stack, for every call that went well. */
const GONE = new AppError('CANCELLED', 'the caller went away');

/** Aborts the exchange at its deadline, and when the call ends. To be called at its end. */
export const timeLimit = (call: LibraryCall, { abort, deadline }: Exchange, sentence: string): (() => void) => {
  const expire = () => abort.abort(new AppError('DEADLINE_EXCEEDED', sentence));
  const timer = setTimeout(expire, Math.max(0, deadline - Date.now()));
  // Fires after every call, also one that went well; aborting what has ended is harmless. At the deadline the library and
  // the caller end the call too, and may do so first.
  call.once('cancelled', () => (Date.now() >= deadline - CLOCK_MS ? expire() : abort.abort(GONE)));
  return () => clearTimeout(timer);
};

export const trailerOf = ({ correlationId }: Exchange): Metadata => {
  const trailer = new Metadata();
  trailer.set('x-request-id', correlationId);
  return trailer;
};

export const unaryHandler =
  (method: string, row: Row<unknown, unknown>, next: Next, connectionOf: (peer: string) => Connection | undefined) =>
  (call: ServerUnaryCall<unknown, unknown>, callback: sendUnaryData<unknown>): void => {
    const exchange = exchangeOf({
      call,
      method,
      row,
      connection: connectionOf(call.getPeer()),
      longestMs: row.limits.deadlineMs,
      handle: ({ request }) => row.handler(request, exchange),
    });
    const over = timeLimit(call, exchange, 'the deadline passed; the change may or may not have been made');
    next(exchange)
      .then(
        (reply) => callback(null, reply, trailerOf(exchange)),
        (error: unknown) => callback(toStatus(toAppError(error, exchange.correlationId), exchange.correlationId)),
      )
      .finally(over);
  };
