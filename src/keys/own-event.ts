// Audit events of what the key service does by itself, on nobody's call.
import { v7 as uuidv7 } from 'uuid';
import { eventOf, type Event } from '../kernel/audit.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Call, EntryDraft } from '../kernel/table.ts';

export type OwnEvent = (action: string, resource: string, facts: EntryDraft) => Event;

export const openOwnEvents =
  (self: SpiffeId): OwnEvent =>
  (action, resource, facts) =>
    eventOf({ principal: self, action, resource, correlationId: uuidv7(), sourceAddress: '' } as Call, facts);
