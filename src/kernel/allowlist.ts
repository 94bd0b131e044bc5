// Which callers a configuration names for which method: the first of the two layers of authorization.
import type { SpiffeId } from './identity.ts';
import type { Served } from './table.ts';

/** By `package.Service/Method` or `package.Service`: callers, or `*` for all. */
export type CallerLists = Readonly<Record<string, readonly (SpiffeId | '*')[]>>;
type Listed = ReadonlySet<string> | '*';

/** An entry for a method counts before one for its service. An entry that names nothing refuses the start. */
export const callersOf = (key: string, lists: CallerLists, services: readonly Served[]): ReadonlyMap<string, Listed> => {
  const methods = services.flatMap((r) => Object.values(r.definition).map((m) => m.path));
  const known = new Set([...methods.map((path) => path.slice(1)), ...services.map((r) => r.service)]);
  const listed = new Map<string, Listed>();
  for (const [name, ids] of Object.entries(lists)) {
    if (!known.has(name)) throw new Error(`${key}.${name}: this service has no such RPC or service`);
    listed.set(name, ids[0] === '*' ? '*' : new Set<string>(ids));
  }
  return new Map(
    methods.flatMap((path) => {
      const list = listed.get(path.slice(1)) ?? listed.get(path.slice(1, path.lastIndexOf('/')));
      return list ? [[path, list] as const] : [];
    }),
  );
};

export const isListed = (list: Listed, principal: SpiffeId): boolean => list === '*' || list.has(principal);

/** Whether the configuration lets this peer call this method. A method that nobody may call refuses the start. */
export const openAllowlist = (lists: CallerLists, services: readonly Served[]) => {
  const byMethod = callersOf('allow', lists, services);
  for (const { path } of services.flatMap((r) => Object.values(r.definition)))
    if (!byMethod.has(path)) throw new Error(`allow: nobody may call ${path.slice(1)}; name callers, or leave it to '*'`);
  return (method: string, principal: SpiffeId): boolean => {
    const list = byMethod.get(method);
    // A method that is not there is refused as such: there is nothing about it to hide.
    return list === undefined || isListed(list, principal);
  };
};
