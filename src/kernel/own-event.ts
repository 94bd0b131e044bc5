// Audit events of what a service does by itself, on nobody's call.
import { eventOf, type Event } from './audit.ts';
import type { SpiffeId } from './identity.ts';
import type { Call, EntryDraft } from './table.ts';
import { newUid } from './uid.ts';

export type OwnEvent = (action: string, resource: string, facts: EntryDraft) => Event;

export const openOwnEvents =
  (self: SpiffeId): OwnEvent =>
  (action, resource, facts) =>
    eventOf({ principal: self, action, resource, correlationId: newUid(), sourceAddress: '' } as Call, facts);
