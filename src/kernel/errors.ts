// The closed set of errors that callers see. A code says what kind it is (gRPC), a reason says which one (stable, for
// scripts), the message tells an operator what to do next. Messages never hold values, SQL text or another's names.
import { Metadata, status, type ServiceError, type StatusObject } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo, RetryInfo } from '../gen/google/rpc/error_details.ts';
import { Status } from '../gen/google/rpc/status.ts';

export const DOMAIN = 'strongroom';

/** Every reason, with the one code it is sent with. */
export const REASONS = {
  // The request itself.
  INVALID_FIELD: 'INVALID_ARGUMENT',
  MALFORMED_MESSAGE: 'INVALID_ARGUMENT',
  MALFORMED_NAME: 'INVALID_ARGUMENT',
  UNKNOWN_MASK_PATH: 'INVALID_ARGUMENT',
  INVALID_PAGE_TOKEN: 'INVALID_ARGUMENT',
  REQUEST_ID_REUSED: 'INVALID_ARGUMENT',
  CRC32C_MISMATCH: 'INVALID_ARGUMENT',
  PAYLOAD_TOO_LARGE: 'INVALID_ARGUMENT',
  CIPHERTEXT_INVALID: 'INVALID_ARGUMENT',
  IMPORT_REJECTED: 'INVALID_ARGUMENT',
  WEAK_KEY_MATERIAL: 'INVALID_ARGUMENT',
  KEY_MATERIAL_MISMATCH: 'INVALID_ARGUMENT',
  MESSAGE_TOO_LARGE: 'RESOURCE_EXHAUSTED',
  BATCH_TOO_LARGE: 'RESOURCE_EXHAUSTED',
  TOO_MANY_REQUESTS: 'RESOURCE_EXHAUSTED',
  RATE_LIMIT_EXCEEDED: 'RESOURCE_EXHAUSTED',
  QUOTA_EXCEEDED: 'RESOURCE_EXHAUSTED',
  // The caller.
  IDENTITY_INVALID: 'UNAUTHENTICATED',
  PERMISSION_DENIED: 'PERMISSION_DENIED',
  NETWORK_NOT_ALLOWED: 'PERMISSION_DENIED',
  // The resource.
  NOT_FOUND: 'NOT_FOUND',
  ENTRY_PRUNED: 'NOT_FOUND',
  ALREADY_EXISTS: 'ALREADY_EXISTS',
  NAME_RETIRED: 'ALREADY_EXISTS',
  EVENT_ID_REUSED: 'ALREADY_EXISTS',
  RESOURCE_DELETED: 'FAILED_PRECONDITION',
  RESOURCE_EXPIRED: 'FAILED_PRECONDITION',
  NOT_DELETED: 'FAILED_PRECONDITION',
  PURGE_STARTED: 'FAILED_PRECONDITION',
  VERSION_DISABLED: 'FAILED_PRECONDITION',
  VERSION_DESTROYED: 'FAILED_PRECONDITION',
  VERSION_DESTROY_SCHEDULED: 'FAILED_PRECONDITION',
  RESOURCE_HELD: 'FAILED_PRECONDITION',
  LOCKED: 'FAILED_PRECONDITION',
  LIMIT_REACHED: 'FAILED_PRECONDITION',
  PURGE_PROTECTED: 'FAILED_PRECONDITION',
  LAST_MANAGER: 'FAILED_PRECONDITION',
  WOULD_LOCK_OUT: 'FAILED_PRECONDITION',
  ROTATION_UNDER_WAY: 'FAILED_PRECONDITION',
  TOO_MANY_VERSIONS: 'FAILED_PRECONDITION',
  ROTATION_NOT_CONFIGURED: 'FAILED_PRECONDITION',
  SCOPE_DESTROYED: 'FAILED_PRECONDITION',
  SCOPE_KEY_VERSION_DESTROYED: 'FAILED_PRECONDITION',
  KEY_ENABLED: 'FAILED_PRECONDITION',
  KEY_DISABLED: 'FAILED_PRECONDITION',
  KEY_EXPIRED: 'FAILED_PRECONDITION',
  KEY_DESTROY_SCHEDULED: 'FAILED_PRECONDITION',
  KEY_DESTROYED: 'FAILED_PRECONDITION',
  KEY_NOT_GRANTED: 'FAILED_PRECONDITION',
  MATERIAL_REQUIRED: 'FAILED_PRECONDITION',
  PROVIDER_MANAGED: 'FAILED_PRECONDITION',
  SCOPE_RETAINED: 'FAILED_PRECONDITION',
  APPROVAL_REQUIRED: 'FAILED_PRECONDITION',
  ALREADY_APPROVED: 'FAILED_PRECONDITION',
  DUAL_AUTHORIZATION_OFF: 'FAILED_PRECONDITION',
  KEY_IN_USE: 'FAILED_PRECONDITION',
  KEY_MATERIAL_EXPIRED: 'FAILED_PRECONDITION',
  KEY_MATERIAL_REUSED: 'FAILED_PRECONDITION',
  IMPORT_JOB_EXPIRED: 'FAILED_PRECONDITION',
  IMPORT_JOB_SPENT: 'FAILED_PRECONDITION',
  NOT_COSIGNED: 'FAILED_PRECONDITION',
  ETAG_MISMATCH: 'ABORTED',
  CONFLICT: 'ABORTED',
  DATA_CORRUPTED: 'DATA_LOSS',
  // The system.
  DATABASE_UNAVAILABLE: 'UNAVAILABLE',
  KEYS_UNAVAILABLE: 'UNAVAILABLE',
  AUDIT_UNAVAILABLE: 'UNAVAILABLE',
  AUDIT_STANDBY: 'UNAVAILABLE',
  STREAM_CLOSED: 'UNAVAILABLE',
  DEADLINE_EXCEEDED: 'DEADLINE_EXCEEDED',
  CANCELLED: 'CANCELLED',
  UNIMPLEMENTED: 'UNIMPLEMENTED',
  INTERNAL: 'INTERNAL',
} as const satisfies Record<string, keyof typeof status>;

export type Reason = keyof typeof REASONS;
export type Code = (typeof REASONS)[Reason];

export interface Violation {
  field: string;
  description: string;
}

export interface ErrorDetails {
  /** The variable parts of the message. */
  metadata?: Record<string, string>;
  violations?: Violation[];
  /** For UNAVAILABLE and RESOURCE_EXHAUSTED: when to try again, in milliseconds. */
  retryAfterMs?: number;
  cause?: unknown;
}

/** The only error that reaches a caller as it is. The cause stays here, for the log. */
export class AppError extends Error {
  readonly reason: Reason;
  readonly code: Code;
  readonly metadata: Record<string, string>;
  readonly violations: Violation[];
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? {} : { cause: details.cause });
    this.name = 'AppError';
    this.reason = reason;
    this.code = REASONS[reason];
    this.metadata = details.metadata ?? {};
    this.violations = details.violations ?? [];
    this.retryAfterMs = details.retryAfterMs ?? (this.code === 'UNAVAILABLE' ? 1000 : undefined);
  }

  get grpcCode(): status {
    return status[this.code];
  }
}

/** One bad field: says which, and what is allowed. */
export const invalid = (field: string, description: string, reason: Reason = 'INVALID_FIELD'): AppError =>
  new AppError(reason, `${field}: ${description}`, { metadata: { field }, violations: [{ field, description }] });

export const notFound = (kind: string, name: string): AppError =>
  new AppError('NOT_FOUND', `${kind} ${name} does not exist`, { metadata: { resource: name } });

/** The same sentence whether the resource is hidden or absent. */
export const denied = (action: string, resource: string): AppError =>
  new AppError('PERMISSION_DENIED', `not allowed to do ${action} on ${resource}, or it might not exist`, {
    metadata: { action, resource },
  });

export const etagMismatch = (name: string): AppError =>
  new AppError('ETAG_MISMATCH', `${name} has changed since its etag was read; read it again and redo the change`, {
    metadata: { resource: name },
  });

/** Anything thrown, as an error a caller may see: an unknown one becomes a fixed sentence. */
export const toAppError = (thrown: unknown, correlationId: string): AppError =>
  thrown instanceof AppError
    ? thrown
    : new AppError('INTERNAL', `internal error; the log has it under request id ${correlationId}`, {
        metadata: { requestId: correlationId },
        cause: thrown,
      });

const any = (type: string, value: Uint8Array) => ({ typeUrl: `type.googleapis.com/google.rpc.${type}`, value: Buffer.from(value) });

/** The error as trailers: one ErrorInfo always; field violations and retry delay where they help. */
export const toStatus = (error: AppError, correlationId: string): Partial<StatusObject> => {
  // A lone surrogate in `details` would throw inside the library and end the process.
  const message = error.message.toWellFormed();
  const details = [
    any(
      'ErrorInfo',
      ErrorInfo.encode({ reason: error.reason, domain: DOMAIN, metadata: new Map(Object.entries(error.metadata)) }).finish(),
    ),
  ];
  if (error.violations.length > 0) details.push(any('BadRequest', BadRequest.encode({ fieldViolations: error.violations }).finish()));
  if (error.retryAfterMs !== undefined) {
    const retryDelay = { seconds: BigInt(Math.floor(error.retryAfterMs / 1000)), nanos: (error.retryAfterMs % 1000) * 1e6 };
    details.push(any('RetryInfo', RetryInfo.encode({ retryDelay }).finish()));
  }
  const metadata = new Metadata();
  metadata.set('x-request-id', correlationId);
  // What client libraries with a retry policy go by (gRFC A6): when to try again, or that it is of no use.
  const after = error.retryAfterMs ?? (error.code === 'RESOURCE_EXHAUSTED' ? -1 : undefined);
  if (after !== undefined) metadata.set('grpc-retry-pushback-ms', String(after));
  metadata.set('grpc-status-details-bin', Buffer.from(Status.encode({ code: error.grpcCode, message, details }).finish()));
  return { code: error.grpcCode, details: message, metadata };
};

const isReason = (text: string): text is Reason => Object.hasOwn(REASONS, text);

/** A status from one of our own services, as the error it was there; anything else as `fallback`. */
export const fromServiceError = (error: ServiceError, fallback: Reason): AppError => {
  const [raw] = error.metadata?.get('grpc-status-details-bin') ?? [];
  if (raw instanceof Buffer) {
    const info = Status.decode(raw).details.find((d) => d.typeUrl.endsWith('/google.rpc.ErrorInfo'));
    const decoded = info && ErrorInfo.decode(info.value);
    if (decoded?.domain === DOMAIN && isReason(decoded.reason)) {
      return new AppError(decoded.reason, error.details, { metadata: Object.fromEntries(decoded.metadata), cause: error });
    }
  }
  if (error.code === status.DEADLINE_EXCEEDED) return new AppError('DEADLINE_EXCEEDED', 'the deadline passed', { cause: error });
  if (error.code === status.CANCELLED) return new AppError('CANCELLED', 'the call was cancelled', { cause: error });
  const who = fallback === 'KEYS_UNAVAILABLE' ? 'the key service' : fallback === 'AUDIT_UNAVAILABLE' ? 'the audit log' : 'a service';
  return new AppError(fallback, `${who} could not be reached; nothing was changed or revealed, try again`, { cause: error });
};

/** The error of one batch item, as it came over the wire. */
export const fromItemError = (item: { reason: string; message: string; metadata?: ReadonlyMap<string, string> }): AppError =>
  isReason(item.reason)
    ? new AppError(item.reason, item.message, { metadata: Object.fromEntries(item.metadata ?? []) })
    : new AppError('INTERNAL', 'internal error in another service');
