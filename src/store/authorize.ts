// Authorization: the roles of the caller, from the bindings, and the network that it is in, cached for at most half a second after
// the last look at their epoch. The administrators of the configuration are Manager of the system, so that there is always somebody.
import type { Db } from '../kernel/db.ts';
import { openEpochCache } from '../kernel/epoch-cache.ts';
import { AppError, denied } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Authorize, Call } from '../kernel/table.ts';
import { administers, permits, permitsBelow, type Bindings, type Guarded, type Permission, type Role } from './access.ts';
import { openKnownInstances, type InstanceFacts, type KnownInstances } from './instance-facts.ts';
import type { Limiter } from './limiter.ts';
import type { Limits } from './limits.ts';
import { selectBindingsOf, selectEpoch } from './sql/bindings.ts';

type Decided = Omit<Guarded, 'name'>;

export interface Decision {
  readonly permitted: boolean;
  /** That the entry is about; empty if there is none. */
  readonly instanceUid: string;
  /** Counts one more read of the instance; throws if that is more than its limit. */
  readonly charge: () => void;
}

export interface Authorization {
  readonly authorize: Authorize;
  /** For what a handler decides by itself. */
  readonly decide: (caller: Pick<Call, 'principal' | 'sourceAddress'>, what: Decided) => Promise<Decision>;
  /** What the caller has, as it was decided by. */
  readonly bindingsOf: (principal: SpiffeId) => Promise<Bindings>;
  readonly instances: KnownInstances;
  /** To be called after a change of bindings or networks: it counts for the next call here, and within a second at every replica. */
  readonly bindingsChanged: () => void;
}

const outside = (action: string, resource: string, address: string): AppError =>
  new AppError('NETWORK_NOT_ALLOWED', `${action} on ${resource} is not allowed from ${address}; ask a Manager for its allowed_networks`, {
    metadata: { action, resource, address },
  });

interface Options {
  readonly db: Db;
  readonly administrators: readonly SpiffeId[];
  readonly limits: Limits;
  readonly limiter: Limiter;
}

export const openAuthorization = ({ db, administrators, limits, limiter }: Options): Authorization => {
  const load = async (principal: string): Promise<Bindings> => {
    const bindings = new Map<string, Set<Role>>();
    const add = (scope: string, role: Role) => bindings.set(scope, (bindings.get(scope) ?? new Set()).add(role));
    if ((administrators as readonly string[]).includes(principal)) add('system', 'MANAGER');
    for (const row of await selectBindingsOf(db.read, principal)) add(row.scope, row.role);
    return bindings;
  };
  const cache = openEpochCache({ queryEpoch: () => selectEpoch(db.read), load, max: 10_000 });
  const instances = openKnownInstances(db, limits.instance, () => cache.generation);

  const look = async (principal: SpiffeId, { scope, permission, also, below }: Decided) => {
    await cache.confirm();
    const bindings = await cache.get(principal);
    const permitted =
      (below ? permitsBelow : permits)(bindings, scope, permission) && (also === undefined || permits(bindings, scope, also));
    return { bindings, permitted, facts: await (permitted ? instances.of(scope) : instances.lookUp(scope)) };
  };
  const isOutside = (facts: InstanceFacts | undefined, bindings: Bindings, permission: Permission, address: string): boolean =>
    facts !== undefined && !facts.admits(address) && !administers(bindings, permission);

  const authorize: Authorize = async (call, resource, again) => {
    // Every table of this service is made of guarded resources; `service.ts` says so to the compiler.
    const guarded = resource as Guarded;
    const { bindings, permitted, facts } = await look(call.principal, guarded);
    call.annotate({ instanceUid: facts?.uid ?? '' });
    if (!permitted) throw denied(call.action, resource.name);
    if (isOutside(facts, bindings, guarded.permission, call.sourceAddress)) throw outside(call.action, resource.name, call.sourceAddress);
    if (facts && !again) limiter.admitTo(facts.uid, call.row.audit === 'write' ? 'write' : 'read', facts.limits);
  };
  const decide: Authorization['decide'] = async ({ principal, sourceAddress }, what) => {
    const { bindings, permitted, facts } = await look(principal, what);
    return {
      permitted: permitted && !isOutside(facts, bindings, what.permission, sourceAddress),
      instanceUid: facts?.uid ?? '',
      charge: () => facts && limiter.admitTo(facts.uid, 'read', facts.limits),
    };
  };
  return {
    authorize,
    decide,
    bindingsOf: async (principal) => {
      await cache.confirm();
      return cache.get(principal);
    },
    bindingsChanged: () => cache.expire(),
    instances,
  };
};
