// What the handlers share.
import type { Db } from '../kernel/db.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Relay } from '../kernel/outbox.ts';
import type { PageTokens } from '../kernel/page.ts';
import type { KeyBackend } from './backend.ts';
import type { Chores } from './chores.ts';
import type { Epochs, Schedule } from './epochs.ts';
import type { KeyEvents } from './key-events.ts';
import type { KeyFiles } from './key-files.ts';
import type { ScopeKeys } from './scope-keys.ts';

export interface Keys {
  readonly db: Db;
  readonly backend: KeyBackend;
  readonly scopeKeys: ScopeKeys;
  readonly relay: Relay;
  readonly files: KeyFiles;
  readonly epochs: Epochs;
  readonly schedule: Schedule;
  readonly chores: Chores;
  readonly events: KeyEvents;
  readonly pages: PageTokens;
  /** Whose scopes need no grant under a provider-managed root key. */
  readonly provisioners: readonly SpiffeId[];
  /** The shortest interval of a rotation policy, in seconds. */
  readonly rotationMinimumSeconds: number;
  /** After a change made here that has raised the epoch: it counts for the next call here. */
  readonly revoked: (epoch: bigint) => void;
  /** Whether this scope is there for who calls: his own, or one of a service whose deputy he is. */
  readonly isVisible: (scope: { service: string }, principal: SpiffeId) => boolean;
}
