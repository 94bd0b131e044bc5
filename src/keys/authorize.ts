// Authorization: the roles of the caller, from grants and from the configuration, cached for at most half a second after the last
// look at the epoch. The administrators of the configuration are Manager of all key rings, so that there is always somebody.
import type { Db } from '../kernel/db.ts';
import { openEpochCache } from '../kernel/epoch-cache.ts';
import { denied } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Authorize } from '../kernel/table.ts';
import { permits, PROVIDER, targetName, type Guarded, type Role, type Roles, type Target } from './access.ts';
import { ALL, type RootKeyPath } from './names.ts';
import type { DatabaseEpoch } from './scope-keys.ts';
import { selectRolesOf } from './sql/grants.ts';
import { selectKeyId } from './sql/root-keys.ts';

/** Rights that stand in the configuration. */
export interface Appointed {
  readonly administrators: readonly SpiffeId[];
  readonly provisioners: readonly SpiffeId[];
  readonly purgers: readonly SpiffeId[];
}

export interface Authorization {
  readonly authorize: Authorize;
  /** To be called after a change of grants: it counts for the next call here, and within a second at every replica. */
  readonly grantsChanged: () => void;
}

export const openAuthorization = (db: Db, epoch: DatabaseEpoch, appointed: Appointed, assertServing: () => void): Authorization => {
  const load = async (principal: string): Promise<Roles> => {
    const roles = new Map<string, Set<Role>>();
    const add = (target: string, role: Role) => roles.set(target, (roles.get(target) ?? new Set()).add(role));
    const is = (those: readonly string[]) => those.includes(principal);
    if (is(appointed.administrators)) add(ALL, 'MANAGER');
    if (is(appointed.provisioners)) add(targetName(PROVIDER), 'PROVISIONER');
    if (is(appointed.purgers)) add(targetName(PROVIDER), 'PURGER');
    for (const { target, role } of await selectRolesOf(db.read, principal)) add(target, role);
    return roles;
  };
  const cache = openEpochCache({ queryEpoch: () => epoch.askEpoch(), load, max: 10_000 });

  /** Grants name a key by its ID; a call may have named it by an alias. */
  const canonical = async (target: Target): Promise<Target> => {
    const key = target !== ALL && 'key' in target ? await selectKeyId(db.read, target) : undefined;
    return key === undefined ? target : { ...(target as RootKeyPath), key };
  };

  const authorize: Authorize = async (call, resource) => {
    assertServing();
    // Every table of this service is made of guarded resources; `guarded.ts` says so to the compiler.
    const { guard } = resource as Guarded;
    if (!guard) return;
    await cache.confirm();
    const roles = await cache.get(call.principal);
    if (permits(roles, guard.target, guard.permission)) return;
    if (!permits(roles, await canonical(guard.target), guard.permission)) throw denied(call.action, resource.name);
  };
  return { authorize, grantsChanged: () => cache.expire() };
};
