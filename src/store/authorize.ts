// Authorization: the roles of the caller, from the bindings, cached for at most half a second after the last look at
// their epoch. The administrators of the configuration are Manager of the system, so that there is always somebody.
import type { Db } from '../kernel/db.ts';
import { openEpochCache } from '../kernel/epoch-cache.ts';
import { denied } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Authorize } from '../kernel/table.ts';
import { permits, permitsBelow, type Bindings, type Guarded, type Role } from './access.ts';
import { openInstanceUids } from './instance-uids.ts';
import { selectBindingsOf, selectEpoch } from './sql/bindings.ts';

type Decided = Omit<Guarded, 'name'>;

export interface Decision {
  readonly permitted: boolean;
  /** That the entry is about; empty if there is none. */
  readonly instanceUid: string;
}

export interface Authorization {
  readonly authorize: Authorize;
  /** For what a handler decides by itself. */
  readonly decide: (principal: SpiffeId, what: Decided) => Promise<Decision>;
  /** What the caller has, as it was decided by. */
  readonly bindingsOf: (principal: SpiffeId) => Promise<Bindings>;
  /** To be called after a change of bindings: it counts for the next call here, and within a second at every replica. */
  readonly bindingsChanged: () => void;
}

export const openAuthorization = (db: Db, administrators: readonly SpiffeId[]): Authorization => {
  const load = async (principal: string): Promise<Bindings> => {
    const bindings = new Map<string, Set<Role>>();
    const add = (scope: string, role: Role) => bindings.set(scope, (bindings.get(scope) ?? new Set()).add(role));
    if ((administrators as readonly string[]).includes(principal)) add('system', 'MANAGER');
    for (const row of await selectBindingsOf(db.read, principal)) add(row.scope, row.role);
    return bindings;
  };
  const uids = openInstanceUids(db);
  const cache = openEpochCache({ queryEpoch: () => selectEpoch(db.read), load, max: 10_000 });

  const decide = async (principal: SpiffeId, { scope, permission, also, below }: Decided): Promise<Decision> => {
    await cache.confirm();
    const bindings = await cache.get(principal);
    const permitted =
      (below ? permitsBelow : permits)(bindings, scope, permission) && (also === undefined || permits(bindings, scope, also));
    return { permitted, instanceUid: await (permitted ? uids.of(scope) : uids.lookUp(scope)) };
  };
  const authorize: Authorize = async (call, resource) => {
    // Every table of this service is made of guarded resources; `service.ts` says so to the compiler.
    const { permitted, instanceUid } = await decide(call.principal, resource as Guarded);
    call.annotate({ instanceUid });
    if (!permitted) throw denied(call.action, resource.name);
  };
  return {
    authorize,
    decide,
    bindingsOf: async (principal) => {
      await cache.confirm();
      return cache.get(principal);
    },
    bindingsChanged: () => cache.expire(),
  };
};
