// What the tables say a call acts on: a name, and the right that it needs where the name is.
import type { Call } from '../kernel/table.ts';
import type { Guarded, Permission, Target } from './access.ts';
import type { Keys } from './keys.ts';

/** The right `permission` on what `name` gives. */
export const on = (permission: Permission, name: string, parse: (name: string) => Target): Guarded => ({
  name,
  guard: { permission, target: parse(name) },
});
/** Parsed for its shape; the allowlist decides, and the handler what belongs to the caller. */
export const named = (name: string, parse: (name: string) => unknown): Guarded => {
  parse(name);
  return { name };
};

/** Handlers take the keys first. */
export const runWith =
  (keys: Keys) =>
  <Request, Reply>(handler: (keys: Keys, request: Request, call: Call) => Reply) =>
  (request: Request, call: Call): Reply =>
    handler(keys, request, call);
