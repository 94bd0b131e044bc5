// Life cycle of instances, groups and secrets: what each state allows, etags, and the checks before a change. Pure.
import { AppError } from '../kernel/errors.ts';

export type State = 'ACTIVE' | 'DELETED' | 'PURGING';
export type VersionState = 'ENABLED' | 'DISABLED' | 'DESTROY_SCHEDULED' | 'DESTROYED';

/** What every resource row has. */
export interface Lifecycle {
  state: State;
  revision: bigint;
  create_time: Date;
  update_time: Date;
  delete_time: Date | null;
  purge_time: Date | null;
}

/** With everything above it. */
export const isWhollyActive = (secret: { state: State; group_state: State; instance_state: State }): boolean =>
  [secret.state, secret.group_state, secret.instance_state].every((state) => state === 'ACTIVE');

export const assertActive = (name: string, state: State): void => {
  if (state === 'ACTIVE') return;
  if (state === 'DELETED') {
    throw new AppError('RESOURCE_DELETED', `${name} is deleted; undelete it first`, { metadata: { resource: name } });
  }
  throw purgeStarted(name);
};

export const assertDeleted = (name: string, state: State): void => {
  if (state === 'ACTIVE') throw new AppError('NOT_DELETED', `${name} is not deleted`, { metadata: { resource: name } });
  if (state === 'PURGING') throw purgeStarted(name);
};

export const purgeStarted = (name: string): AppError =>
  new AppError('PURGE_STARTED', `the purge of ${name} has begun; there is no way back`, { metadata: { resource: name } });

export const assertReadable = (name: string, state: VersionState): void => {
  if (state === 'DISABLED')
    throw new AppError('VERSION_DISABLED', `${name} is disabled; enable it first`, { metadata: { resource: name } });
  assertKept(name, state);
};

/** Neither destroyed nor about to be. */
export const assertKept = (name: string, state: VersionState): void => {
  if (state === 'DESTROYED') {
    throw new AppError('VERSION_DESTROYED', `${name} is destroyed; its payload is gone for ever`, { metadata: { resource: name } });
  }
  if (state === 'DESTROY_SCHEDULED') {
    throw new AppError('VERSION_DESTROY_SCHEDULED', `${name} is about to be destroyed; restore it first`, { metadata: { resource: name } });
  }
};

/** About to be destroyed, and not yet. */
export const assertScheduled = (name: string, state: VersionState): void => {
  if (state === 'DESTROY_SCHEDULED') return;
  assertKept(name, state);
  throw new AppError('NOT_DELETED', `${name} is not about to be destroyed`, { metadata: { resource: name } });
};

export const purgeProtected = (name: string, why: string): AppError =>
  new AppError('PURGE_PROTECTED', `${name} has purge protection: ${why}`, { metadata: { resource: name } });
