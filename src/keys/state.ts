// The life cycle of a root key: which operation each state allows, and where it leads (NIST SP 800-57 part 1, section 7). Data,
// and the refusals that follow from it. Pure.
import { AppError, type Reason } from '../kernel/errors.ts';

/** EXPIRED is in no row: it is an ENABLED key whose time is over. */
export type KeyState = 'ENABLED' | 'DISABLED' | 'EXPIRED' | 'DESTROY_SCHEDULED' | 'DESTROYED';

/** `wrap` is of new scope keys and new DEKs, `unwrap` also of what is wrapped anew at once. */
export type Operation = 'wrap' | 'unwrap' | 'rewrap' | 'rotate' | 'update' | 'disable' | 'enable' | 'delete' | 'restore' | 'destroy';

/** The state after it; an operation that is missing is refused. */
export const TRANSITIONS: Readonly<Record<KeyState, Partial<Readonly<Record<Operation, KeyState>>>>> = {
  ENABLED: {
    wrap: 'ENABLED',
    unwrap: 'ENABLED',
    rewrap: 'ENABLED',
    rotate: 'ENABLED',
    update: 'ENABLED',
    disable: 'DISABLED',
    delete: 'DESTROY_SCHEDULED',
  },
  DISABLED: { update: 'DISABLED', enable: 'ENABLED', delete: 'DESTROY_SCHEDULED' },
  EXPIRED: { unwrap: 'EXPIRED', rewrap: 'EXPIRED', rotate: 'EXPIRED', update: 'EXPIRED', delete: 'DESTROY_SCHEDULED' },
  DESTROY_SCHEDULED: { restore: 'DISABLED', destroy: 'DESTROYED' },
  DESTROYED: {},
};

const REFUSALS: Readonly<Record<KeyState, { reason: Reason; why: string }>> = {
  ENABLED: { reason: 'KEY_ENABLED', why: 'is enabled' },
  DISABLED: { reason: 'KEY_DISABLED', why: 'is disabled; ask its Manager to enable it' },
  EXPIRED: { reason: 'KEY_EXPIRED', why: 'has expired: what it protects can be read, and nothing new can be protected by it' },
  DESTROY_SCHEDULED: { reason: 'KEY_DESTROY_SCHEDULED', why: 'is about to be destroyed; ask its Manager to restore it' },
  DESTROYED: { reason: 'KEY_DESTROYED', why: 'was destroyed; what it protected is gone for ever' },
};

/** The error that a state answers with; undefined if it allows the operation. `name` is the key's, or says whose key it is. */
export const refusal = (name: string, state: KeyState, operation: Operation): AppError | undefined => {
  if (TRANSITIONS[state][operation] !== undefined) return undefined;
  const { reason, why } = REFUSALS[state];
  return new AppError(reason, `${name} ${why}`, { metadata: { resource: name, state, operation } });
};

export const assertAllows = (name: string, state: KeyState, operation: Operation): void => {
  const error = refusal(name, state, operation);
  if (error) throw error;
};
