// How much attention an entry deserves: by how it ended, and if it was done, by what was done. After the table of IBM's
// Activity Tracker, its HTTP codes as gRPC codes. Pure.
import { status } from '@grpc/grpc-js';

export type Severity = 'NORMAL' | 'WARNING' | 'CRITICAL';

const CODES: Readonly<Partial<Record<keyof typeof status, Severity>>> = {
  // 401, 403
  UNAUTHENTICATED: 'CRITICAL',
  PERMISSION_DENIED: 'CRITICAL',
  // 503, 507
  UNAVAILABLE: 'CRITICAL',
  // What was stored is not what is there.
  DATA_LOSS: 'CRITICAL',
  // 400
  INVALID_ARGUMENT: 'WARNING',
  FAILED_PRECONDITION: 'WARNING',
  OUT_OF_RANGE: 'WARNING',
  // 409
  ALREADY_EXISTS: 'WARNING',
  ABORTED: 'WARNING',
  // 429, 500, 501, 504
  RESOURCE_EXHAUSTED: 'WARNING',
  UNKNOWN: 'WARNING',
  INTERNAL: 'WARNING',
  UNIMPLEMENTED: 'WARNING',
  DEADLINE_EXCEEDED: 'WARNING',
};

/** Failures that are worse than their code. */
const REASONS: Readonly<Record<string, Severity>> = { CIPHERTEXT_INVALID: 'CRITICAL' };

/** What was done, by the action or by its last word; every other one is routine. */
const DONE: Readonly<Record<string, Severity>> = {
  // It is a time slot that ends, and no key.
  'keys.importjob.expire': 'NORMAL',
  // Somebody gets a right.
  'secrets.binding.create': 'WARNING',
  'keys.grant.create': 'WARNING',
  // These only ever fail, in a way that is a warning.
  attempt: 'WARNING',
  overdue: 'WARNING',
  refuse: 'WARNING',
  delete: 'CRITICAL',
  destroy: 'CRITICAL',
  erase: 'CRITICAL',
  expire: 'CRITICAL',
  expedite: 'CRITICAL',
  prune: 'CRITICAL',
  purge: 'CRITICAL',
  start: 'WARNING',
  approve: 'WARNING',
  disable: 'WARNING',
  enable: 'WARNING',
  import: 'WARNING',
  move: 'WARNING',
  rekey: 'WARNING',
  restore: 'WARNING',
  retain: 'WARNING',
  rotate: 'WARNING',
  undelete: 'WARNING',
  update: 'WARNING',
  withdraw: 'WARNING',
};

export interface Ending {
  readonly action: string;
  /** gRPC status code, 0 for success. */
  readonly code: number;
  readonly reason: string;
}

export const severityOf = ({ action, code, reason }: Ending): Severity => {
  if (code === 0) return DONE[action] ?? DONE[action.slice(action.lastIndexOf('.') + 1)] ?? 'NORMAL';
  return REASONS[reason] ?? CODES[status[code] as keyof typeof status] ?? 'NORMAL';
};
