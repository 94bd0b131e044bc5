// What the tasks share.
import type { AuditServiceService } from '../gen/strongroom/audit/v1/audit_service.ts';
import type { EnvelopeServiceService } from '../gen/strongroom/keys/v1/envelope_service.ts';
import type { KeyServiceService } from '../gen/strongroom/keys/v1/key_service.ts';
import type { Auditor } from '../kernel/audit.ts';
import type { ClientOf } from '../kernel/client.ts';
import type { Db } from '../kernel/db.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Log } from '../kernel/log.ts';
import type { OwnEvent } from './own-actions.ts';
import type { Traffic } from './traffic.ts';

export interface Worker {
  /** The store's database. */
  readonly db: Db;
  readonly keys: ClientOf<typeof KeyServiceService>;
  readonly scopes: ClientOf<typeof EnvelopeServiceService>;
  readonly auditor: Auditor;
  readonly proofs: ClientOf<typeof AuditServiceService>;
  /** Who this process is. */
  readonly principal: SpiffeId;
  readonly ownEvent: OwnEvent;
  readonly log: Log;
  readonly traffic: Traffic;
}

/** A root key that was made with its instance, and not a customer's own. */
export const isProviderManaged = (rootKey: string): boolean => rootKey.startsWith('keyRings/provider/');

/** How long a task may hold its place: a long one takes turns with the others. */
export interface Turn {
  /** Aborted when the process stops. */
  readonly signal: AbortSignal;
  isOver(): boolean;
}
