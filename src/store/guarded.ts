// What the tables say a call acts on: a name, and the right that it needs where the name is.
import { METADATA_LIMITS, type Call, type StreamLimits } from '../kernel/table.ts';
import { idsBelow, permits, type Guarded, type Permission, type Scope } from './access.ts';
import type { Store } from './store.ts';

/** The right `permission`, and `also` if it is given, on the instance, the group, or the group around the secret that `name` gives. */
export const on = (permission: Permission, name: string, parse: (name: string) => Scope, also?: Permission): Guarded => ({
  name,
  permission,
  also,
  scope: parse(name),
});
/** The same right, there or on something right below; what it permits shows no more than that. */
export const below = (permission: Permission, name: string, scope: Scope): Guarded => ({ name, permission, scope, below: true });
/** A question about oneself. */
export const self = (name: string): Guarded => ({ name, permission: 'self', scope: 'system' });
export const system = (permission: Permission, name: string): Guarded => ({ name, permission, scope: 'system' });

export const WATCH_LIMITS: StreamLimits = { requestBytes: METADATA_LIMITS.requestBytes, longestMs: 10 * 60_000 };

/** IDs of what a list right below `scope` shows to its caller; undefined: of all. */
export const shownTo = async (store: Store, call: Call, scope: Scope): Promise<string[] | undefined> => {
  const bindings = await store.bindingsOf(call.principal);
  return permits(bindings, scope, 'read') ? undefined : idsBelow(bindings, scope, 'read');
};

/** Handlers take the store first. */
export const runWith =
  (store: Store) =>
  <Request, Reply>(handler: (store: Store, request: Request, call: Call) => Reply) =>
  (request: Request, call: Call): Reply =>
    handler(store, request, call);
