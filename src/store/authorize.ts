// Authorization: the roles of the caller, from the bindings, and the network that it is in, cached for at most half a second after
// the last look at their epoch. The administrators of the configuration are Manager of the system, so that there is always somebody.
import type { Db } from '../kernel/db.ts';
import { openEpochCache } from '../kernel/epoch-cache.ts';
import { AppError, denied } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Authorize, Call } from '../kernel/table.ts';
import { administers, permits, permitsBelow, type Bindings, type Guarded, type Role } from './access.ts';
import { openKnownInstances, type KnownInstances } from './instance-facts.ts';
import type { Limiter } from './limiter.ts';
import type { InstanceLimits, Limits } from './limits.ts';
import { selectBindingsOf, selectEpoch } from './sql/bindings.ts';

type Decided = Omit<Guarded, 'name'>;

/** Who asks, and from where. */
type Caller = Pick<Call, 'principal' | 'sourceAddress'>;
type Refuse = (action: string, resource: string) => AppError;

export interface Decision {
  /** That the entry is about; empty if there is none. */
  readonly instanceUid: string;
  /** Of that instance; undefined if there is none. */
  readonly limits: InstanceLimits | undefined;
  /** What the caller is to be told if it may not; undefined if it may. */
  readonly refuse: Refuse | undefined;
}

export interface Authorization {
  readonly authorize: Authorize;
  /** For what a handler decides by itself. */
  readonly decide: (caller: Caller, what: Decided) => Promise<Decision>;
  /** What the caller has, as it was decided by. */
  readonly bindingsOf: (principal: SpiffeId) => Promise<Bindings>;
  readonly instances: KnownInstances;
  /** To be called after a change of bindings or networks: it counts for the next call here, and within a second at every replica. */
  readonly bindingsChanged: () => void;
}

const outside =
  (address: string): Refuse =>
  (action, resource) =>
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

  const decide: Authorization['decide'] = async ({ principal, sourceAddress }, { scope, permission, also, below }) => {
    await cache.confirm();
    const bindings = await cache.get(principal);
    const needed = also === undefined ? [permission] : [permission, also];
    const permitted =
      (below ? permitsBelow : permits)(bindings, scope, permission) && (also === undefined || permits(bindings, scope, also));
    const facts = await (permitted ? instances.of(scope) : instances.lookUp(scope));
    const admitted = !facts || facts.admits(sourceAddress) || needed.every((each) => administers(bindings, each));
    const refuse = !permitted ? denied : admitted ? undefined : outside(sourceAddress);
    return { instanceUid: facts?.uid ?? '', limits: facts?.limits, refuse };
  };
  const authorize: Authorize = async (call, resource, again) => {
    // Every table of this service is made of guarded resources; `service.ts` says so to the compiler.
    const { instanceUid, limits: own, refuse } = await decide(call, resource as Guarded);
    call.annotate({ instanceUid });
    if (refuse) throw refuse(call.action, resource.name);
    if (own && !again) limiter.admitTo(instanceUid, call.row.audit === 'write' ? 'write' : 'read', own);
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
