// Authorization: the roles of the caller, from the bindings, cached for at most half a second after the last look at
// their epoch. The administrators of the configuration are Manager of the system, so that there is always somebody.
import type { Db } from '../kernel/db.ts';
import { openEpoch } from '../kernel/epoch.ts';
import { denied } from '../kernel/errors.ts';
import type { SpiffeId } from '../kernel/identity.ts';
import type { Authorize } from '../kernel/table.ts';
import { permits, type Bindings, type Guarded, type Role } from './access.ts';
import { selectBindingsOf, selectEpoch } from './sql/bindings.ts';

const MAX_PRINCIPALS = 10_000;

export const openAuthorize = (db: Db, administrators: readonly SpiffeId[]): Authorize => {
  const cache = new Map<string, Promise<Bindings>>();
  const epoch = openEpoch({ query: () => selectEpoch(db.read), onChange: () => cache.clear() });

  const load = async (principal: string): Promise<Bindings> => {
    const bindings = new Map<string, Set<Role>>();
    const add = (scope: string, role: Role) => bindings.set(scope, (bindings.get(scope) ?? new Set()).add(role));
    if ((administrators as readonly string[]).includes(principal)) add('system', 'MANAGER');
    for (const row of await selectBindingsOf(db.read, principal)) add(row.scope, row.role);
    return bindings;
  };

  const bindingsOf = (principal: string): Promise<Bindings> => {
    const cached = cache.get(principal);
    if (cached) return cached;
    const { generation } = epoch;
    const loading = load(principal);
    if (cache.size >= MAX_PRINCIPALS) cache.clear();
    cache.set(principal, loading);
    const forget = () => cache.get(principal) === loading && cache.delete(principal);
    // What was read before a change must not stay after it.
    loading.then(() => epoch.generation !== generation && forget(), forget);
    return loading;
  };

  return async (call, resource) => {
    // Every table of this service is made of guarded resources; `service.ts` says so to the compiler.
    const { scope, permission } = resource as Guarded;
    await epoch.confirm();
    if (!permits(await bindingsOf(call.principal), scope, permission)) throw denied(call.action, resource.name);
  };
};
