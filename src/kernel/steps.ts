// What happens to every call, outermost first: observe → map errors → identify → limit → audit → authorize → deadline → handler.
// Errors are mapped outside identify, so that a refused peer gets a proper error; audit is outside authorize, so that a
// denied call leaves an entry.
import { status } from '@grpc/grpc-js';
import { eventOf, type Auditor } from './audit.ts';
import { AppError, denied, toAppError } from './errors.ts';
import type { SpiffeId } from './identity.ts';
import { describe, type Log } from './log.ts';
import { metrics } from './metrics.ts';
import {
  kindOf,
  REFUSED,
  type Admit,
  type Authorize,
  type Call,
  type EntryDraft,
  type Resource,
  type Row,
  type StreamRow,
} from './table.ts';

/** One call on its way through the steps. */
export interface Exchange extends Call {
  readonly row: Omit<Row<unknown, unknown> | StreamRow<unknown, unknown>, 'handler'>;
  /** What all steps are around: the handler, and for a stream the sending of what it gives. */
  readonly handle: Next;
  /** Decoded; or why it could not be. */
  readonly request: unknown;
  /** From the connection; or why there is none. */
  readonly identity: SpiffeId | AppError;
  principal: SpiffeId;
  resource: string;
  facts: EntryDraft;
  drafts: readonly EntryDraft[] | undefined;
  lastCheck: (() => void | Promise<void>) | undefined;
  /** Decides again what was decided when the call came. */
  reauthorize: () => Promise<void>;
  /** A stream whose entry is in the log, and whose first message may have left. */
  begun: boolean;
  /** Ends `signal`. */
  readonly abort: AbortController;
}

export type Next = (exchange: Exchange) => Promise<unknown>;
export type Step = (next: Next) => Next;

export interface StepOptions {
  log: Log;
  auditor: Auditor;
  authorize: Authorize;
  /** Keeps callers within their limits; without it, there are none. */
  admit?: Admit;
  /** Whether the configuration lets this peer call this method. */
  allowed: (method: string, principal: SpiffeId) => boolean;
}

const observe =
  ({ log }: StepOptions): Step =>
  (next) =>
  async (exchange) => {
    const start = performance.now();
    const done = (code: string) => {
      const ms = performance.now() - start;
      // A caller must not be able to make time series by making up methods (gRFC A66 says `other`).
      const known = exchange.row.action === REFUSED.action ? 'other' : exchange.method;
      metrics.serverCalls.observe({ grpc_method: known, grpc_status: code }, ms / 1000);
      return Math.round(ms * 100) / 100;
    };
    const { method, correlationId, traceId } = exchange;
    const trace = traceId === '' ? {} : { traceId };
    try {
      const reply = await next(exchange);
      const ms = done('OK');
      log.debug({ method, principal: exchange.principal, correlationId, ...trace, code: 'OK', ms }, 'call');
      return reply;
    } catch (error) {
      const mapped = error instanceof AppError ? error : toAppError(error, correlationId);
      const fields = {
        method,
        principal: exchange.principal,
        correlationId,
        ...trace,
        code: mapped.code,
        reason: mapped.reason,
        ms: done(mapped.code),
      };
      if (mapped.code === 'INTERNAL' || mapped.code === 'DATA_LOSS') log.error({ ...fields, error: describe(mapped) }, 'call failed');
      else if (mapped.code === 'UNAVAILABLE') log.warn({ ...fields, error: describe(mapped) }, 'call failed');
      else if (mapped.reason === 'RATE_LIMIT_EXCEEDED') log.debug(fields, 'call refused');
      else log.info(fields, 'call refused');
      throw mapped;
    }
  };

const mapErrors: Step = (next) => async (exchange) => {
  try {
    return await next(exchange);
  } catch (error) {
    throw toAppError(error, exchange.correlationId);
  }
};

const identify: Step = (next) => (exchange) => {
  if (exchange.identity instanceof AppError) return Promise.reject(exchange.identity);
  exchange.principal = exchange.identity;
  return next(exchange);
};

/** Not recorded: who is kept from flooding this service must not flood the log in its place. */
const limit =
  ({ admit }: StepOptions): Step =>
  (next) =>
  async (exchange) => {
    const leave = admit?.(exchange.principal, kindOf(exchange.row));
    try {
      return await next(exchange);
    } finally {
      leave?.();
    }
  };

/** What an entry says of a failure. */
export const outcomeOf = (error: AppError): EntryDraft => ({
  outcome: error.code === 'PERMISSION_DENIED' ? 'DENIED' : 'FAILURE',
  code: status[error.code],
  reason: error.reason,
});

/** A stream may last long; its entry must not take as long. */
export const entryDeadline = ({ deadline: end }: Exchange): number => Math.min(end, Date.now() + 10_000);

const audit =
  ({ auditor }: StepOptions): Step =>
  (next) =>
  async (exchange) => {
    const mode = exchange.row.audit;
    let reply: unknown;
    try {
      reply = await next(exchange);
    } catch (thrown) {
      const error = toAppError(thrown, exchange.correlationId);
      // When the log itself is out of reach there is nobody to tell; the call fails all the same. How a stream ends that
      // has its entry is of no interest, unless a right was taken away.
      const tell = error.code === 'PERMISSION_DENIED' || (mode !== 'none' && !exchange.begun);
      if (error.reason !== 'AUDIT_UNAVAILABLE' && error.reason !== 'RATE_LIMIT_EXCEEDED' && tell) {
        // In the caller's time; a call whose time is over is recorded all the same.
        const now = Date.now();
        const end = entryDeadline(exchange);
        await auditor.append([eventOf(exchange, { ...exchange.facts, ...outcomeOf(error) })], end > now + 50 ? end : now + 1_000);
      }
      throw thrown;
    }
    if (mode === 'read' && !exchange.begun) {
      const drafts = exchange.drafts ?? [exchange.facts];
      if (drafts.length > 0)
        await auditor.append(
          drafts.map((draft) => eventOf(exchange, draft)),
          entryDeadline(exchange),
        );
    }
    await exchange.lastCheck?.();
    return reply;
  };

const authorize =
  ({ authorize: decide, allowed }: StepOptions): Step =>
  (next) =>
  async (exchange) => {
    // Before anything of the request is looked at: a peer that may not call this method learns nothing of its shape.
    if (!allowed(exchange.method, exchange.principal)) throw denied(exchange.action, exchange.method);
    if (exchange.request instanceof AppError) throw exchange.request;
    const resource: Resource = exchange.row.resource(exchange.request);
    exchange.resource = resource.name;
    exchange.reauthorize = () => decide(exchange, resource, true);
    await decide(exchange, resource);
    return next(exchange);
  };

const deadline: Step = (next) => (exchange) => {
  const { signal } = exchange;
  return new Promise((resolve, reject) => {
    const give = () => reject(signal.reason instanceof AppError ? signal.reason : new AppError('CANCELLED', 'the caller went away'));
    if (signal.aborted) {
      give();
      return;
    }
    signal.addEventListener('abort', give, { once: true });
    next(exchange)
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', give));
  });
};

const handle: Next = (exchange) => exchange.handle(exchange);

/** The steps around the handler, outermost first. */
export const compose = (options: StepOptions): Next =>
  [observe(options), mapErrors, identify, limit(options), audit(options), authorize(options), deadline].reduceRight<Next>(
    (next, step) => step(next),
    handle,
  );
