// What the handlers share.
import type { EnvelopeServiceService } from '../gen/strongroom/keys/v1/envelope_service.ts';
import type { KeyServiceService } from '../gen/strongroom/keys/v1/key_service.ts';
import type { ScopeServiceService } from '../gen/strongroom/keys/v1/scope_service.ts';
import type { Auditor } from '../kernel/audit.ts';
import type { ClientOf } from '../kernel/client.ts';
import type { Db } from '../kernel/db.ts';
import type { Relay } from '../kernel/outbox.ts';
import type { PageTokens } from '../kernel/page.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Accesses } from './accesses.ts';
import type { Authorization } from './authorize.ts';
import type { Envelope } from './envelope.ts';
import type { RetentionLimits } from './fields.ts';
import type { KnownInstances } from './instance-facts.ts';
import type { Limiter } from './limiter.ts';
import type { Limits } from './limits.ts';
import type { ScopeRetention } from './scope-retention.ts';
import type { PurgeRow } from './sql/purges.ts';
import type { GroupKey, RekeyRow } from './sql/rekeys.ts';
import type { Watchers } from './watchers.ts';

export interface Store {
  readonly db: Db;
  readonly keys: ClientOf<typeof KeyServiceService>;
  readonly scopes: ClientOf<typeof EnvelopeServiceService>;
  readonly scopeKeys: ClientOf<typeof ScopeServiceService>;
  readonly envelope: Envelope;
  readonly auditor: Auditor;
  readonly decide: Authorization['decide'];
  readonly relay: Relay;
  readonly pages: PageTokens;
  readonly retention: RetentionLimits;
  readonly scopeRetention: ScopeRetention;
  /** The purge as it is now, all who ask at once in one statement. */
  readonly lookAtPurge: (uid: string, deadline: number) => Promise<PurgeRow | undefined>;
  /** The latest rekey of a group, likewise. */
  readonly lookAtRekey: (group: GroupKey, deadline: number) => Promise<RekeyRow | undefined>;
  readonly accesses: Accesses;
  readonly watchers: Watchers;
  /** What replaces keys of groups, to be told that there is one to replace. */
  readonly rekeys: { kick(): void };
  /** How long the old key of a group is kept after a rekey, unless a request says otherwise. */
  readonly rekeyKeepForMs: number;
  /** The shortest interval of a rotation. */
  readonly rotationMinimumSeconds: number;
  readonly bindingsOf: Authorization['bindingsOf'];
  readonly bindingsChanged: Authorization['bindingsChanged'];
  readonly instances: KnownInstances;
  readonly limits: Limits;
  readonly limiter: Limiter;
  readonly administrators: readonly SpiffeId[];
  /** Keys the digests of requests, so that a digest of a guessable payload reveals nothing. */
  readonly digestKey: Buffer;
}
