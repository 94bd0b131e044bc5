// What the tables say a call acts on: a name, and the right that it needs where the name is.
import { METADATA_LIMITS, type Call, type StreamLimits } from '../kernel/table.ts';
import type { Guarded, Permission, Scope } from './access.ts';
import type { Store } from './store.ts';

/** The right `permission` on the instance, the group, or the group around the secret that `name` gives. */
export const on = (permission: Permission, name: string, parse: (name: string) => Scope): Guarded => ({
  name,
  permission,
  scope: parse(name),
});
export const system = (permission: Permission, name: string): Guarded => ({ name, permission, scope: 'system' });
/** For what acts on many things: the handler decides on each. */
export const onEach = (name: string): Guarded => ({ name, permission: null, scope: 'system' });

export const WATCH_LIMITS: StreamLimits = { requestBytes: METADATA_LIMITS.requestBytes, longestMs: 10 * 60_000 };

/** Handlers take the store first. */
export const runWith =
  (store: Store) =>
  <Request, Reply>(handler: (store: Store, request: Request, call: Call) => Reply) =>
  (request: Request, call: Call): Reply =>
    handler(store, request, call);
