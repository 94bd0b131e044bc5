// The service table: for every RPC its action, resource, audit mode, limits and handler. A new RPC without them does
// not compile, because a table is typed by the generated service definition.
import type { Attributes, Fact } from './facts.ts';
import type { SpiffeId } from './identity.ts';

/** The part of a generated method definition that types and wiring need. */
export interface MethodDefinition {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  // Method definitions are compared contravariantly in the request; `never` accepts every one of them.
  readonly requestSerialize: (value: never) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (value: never) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}
export type ServiceDefinition = Readonly<Record<string, MethodDefinition>>;

export type RequestOf<M extends MethodDefinition> = ReturnType<M['requestDeserialize']>;
export type ResponseOf<M extends MethodDefinition> = ReturnType<M['responseDeserialize']>;

/**
 * When the audit entry of a successful call becomes durable.
 * - `read`: before the reply leaves, by an append. For calls that change nothing in a database of ours.
 * - `write`: in the transaction that makes the change, through the outbox; the handler enqueues `call.entry()`.
 * - `none`: no entry. Only for the log's own intake, which cannot log itself without end.
 * Denied calls get an entry in every mode, failed ones in every mode but `none`.
 */
export type AuditMode = 'read' | 'write' | 'none';

export interface Limits {
  /** Largest request in bytes. */
  readonly requestBytes: number;
  /** The call ends after this long, also if the caller would wait longer. */
  readonly deadlineMs: number;
}

export interface StreamLimits {
  /** Largest request in bytes. */
  readonly requestBytes: number;
  /** The stream ends after this long, also if the caller would listen on; who wants more opens another one. */
  readonly longestMs: number;
}

export type Outcome = 'SUCCESS' | 'FAILURE' | 'DENIED';

/** What the log's catalogue says of an action. */
export interface Action {
  /** `service.object.verb`, as it stands in the audit log and in authorization. */
  readonly action: string;
  readonly audit: AuditMode;
  /** The attributes that its entries may carry. */
  readonly facts: readonly Fact[];
  /** It gives out, takes in or opens what a customer keeps here, or a key to that. */
  readonly data?: true;
}

/** An audit entry in the making; what is not given comes from the call. Never a value, never a key. */
export interface EntryDraft {
  /** What was done, if it is not what was called. */
  as?: Action;
  /** For an entry that may be made twice, and must be the same both times. */
  eventId?: string;
  occurTime?: Date;
  resource?: string;
  instanceUid?: string;
  outcome?: Outcome;
  code?: number;
  reason?: string;
  onBehalfOf?: string;
  correlationId?: string;
  traceId?: string;
  attributes?: Attributes;
}

/** What a call acts on, as far as authorization and audit need to know. */
export interface Resource {
  readonly name: string;
}

/** What a handler may know of its call. */
export interface Call {
  readonly row: Action;
  readonly principal: SpiffeId;
  /** SHA-256 of the caller's certificate, in hexadecimal digits. */
  readonly credentialId: string;
  /** `/package.Service/Method`. */
  readonly method: string;
  readonly action: string;
  readonly resource: string;
  /** Ties log lines and audit entries of this call together, over all services. */
  readonly correlationId: string;
  /** W3C trace context as the caller sent it, and its trace id; empty if there is none. */
  readonly traceparent: string;
  readonly traceId: string;
  readonly sourceAddress: string;
  /** Milliseconds since 1970; the earlier of the caller's and the table's. */
  readonly deadline: number;
  /** Aborted when the caller is gone or the deadline has passed. */
  readonly signal: AbortSignal;
  /** What this call's audit entry says beyond the call itself. */
  readonly facts: EntryDraft;
  /** Adds to the facts. */
  annotate(facts: EntryDraft): void;
  /** Replaces this call's one entry of mode `read` by one for each item of a batch. */
  entries(drafts: readonly EntryDraft[]): void;
  /** Runs right before the reply leaves, after the audit entry is durable; what it throws is the answer then. */
  guard(check: () => void | Promise<void>): void;
}

/** What every RPC must say. */
interface RowOf<Request, L, Reply> extends Action {
  /** Parses what the call acts on; throws INVALID_ARGUMENT for a name that is none. */
  readonly resource: (request: Request) => Resource;
  readonly limits: L;
  readonly handler: (request: Request, call: Call) => Reply;
}
export type Row<Request, Response> = RowOf<Request, Limits, Promise<Response>>;

/** A stream of messages. Its entry of mode `read` is durable before the first of them leaves; see stream.ts for how it ends. */
export type StreamRow<Request, Response> = RowOf<Request, StreamLimits, AsyncIterable<Response>>;

/** The kind of row is the one that the protobuf definition asks for. Streams of requests are not served. */
type RowFor<M extends MethodDefinition> = M['requestStream'] extends true
  ? never
  : M['responseStream'] extends true
    ? StreamRow<RequestOf<M>, ResponseOf<M>>
    : Row<RequestOf<M>, ResponseOf<M>>;

export type Table<S extends ServiceDefinition> = { readonly [M in keyof S]: RowFor<S[M]> };

/** Decides after the allowlist; throws PERMISSION_DENIED. `again`: of a stream that it has let in before. */
export type Authorize = (call: Call, resource: Resource, again?: boolean) => Promise<void>;

export type CallKind = 'read' | 'write' | 'stream';
/** Takes a call of this caller in, before anything else of it is looked at, or throws RATE_LIMIT_EXCEEDED; what it returns is done at its end. */
export type Admit = (principal: SpiffeId, kind: CallKind) => (() => void) | undefined;

/** Whether a row's calls change something, last, or neither. */
export const kindOf = (row: { audit: AuditMode; limits: Limits | StreamLimits }): CallKind => {
  if ('longestMs' in row.limits) return 'stream';
  return row.audit === 'write' ? 'write' : 'read';
};

/** A service as its definition names it. */
export interface Served {
  /** `package.Service`. */
  readonly service: string;
  readonly definition: ServiceDefinition;
}

export const served = (definition: ServiceDefinition): Served => {
  const [first] = Object.values(definition);
  return { service: first ? first.path.slice(1, first.path.lastIndexOf('/')) : '', definition };
};

/** A table with the definition it belongs to, types checked here and erased for the wiring. */
export interface Registration extends Served {
  readonly table: Readonly<Record<string, Row<unknown, unknown> | StreamRow<unknown, unknown>>>;
}

export const register = <S extends ServiceDefinition>(definition: S, table: Table<S>): Registration => ({
  ...served(definition),
  table: table as unknown as Registration['table'],
});

/** Calls that no row is for: of a method that is not there, or refused by the library. */
export const REFUSED: Action = { action: 'rpc.call.refuse', audit: 'read', facts: [] };

/** Sizes shared by most rows: a metadata call. */
export const METADATA_LIMITS: Limits = { requestBytes: 128 * 1024, deadlineMs: 10_000 };
