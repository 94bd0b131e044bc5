// Audit events that are no row's: what a service does by itself, on nobody's call. Each service lists their actions in one place.
import { eventOf, type Event } from './audit.ts';
import type { Fact } from './facts.ts';
import type { SpiffeId } from './identity.ts';
import type { Action, EntryDraft } from './table.ts';
import { newUid } from './uid.ts';

export interface OwnAction extends Action {
  /** For the catalogue: when there is such an entry. */
  readonly when: string;
}

/** By their names: when there is such an entry, and the attributes that it may carry. */
export const ownActions = <Name extends string>(actions: Readonly<Record<Name, readonly [when: string, ...facts: Fact[]]>>) =>
  Object.fromEntries(
    Object.entries<readonly [string, ...Fact[]]>(actions).map(([action, [when, ...facts]]) => [
      action,
      { action, when, facts, audit: 'write' } satisfies OwnAction,
    ]),
  ) as unknown as Readonly<Record<Name, OwnAction>>;

export type OwnEvent<Name extends string> = (action: Name, resource: string, facts: EntryDraft) => Event;

export const openOwnEvents =
  <Name extends string>(self: SpiffeId, actions: Readonly<Record<Name, Action>>): OwnEvent<Name> =>
  (action, resource, facts) =>
    eventOf(
      { principal: self, row: actions[action], resource, correlationId: newUid(), traceId: '', sourceAddress: '', credentialId: '' },
      facts,
    );
