// Who may do what: roles, what each permits, and where a right counts. Pure; the bindings come from elsewhere.
import type { Resource } from '../kernel/table.ts';
import { groupName, instanceName, type GroupPath, type InstancePath } from './names.ts';

export const ROLES = ['READER', 'SECRETS_READER', 'WRITER', 'MANAGER', 'PURGER', 'AUDITOR'] as const;
export type Role = (typeof ROLES)[number];
/** `self` is what everybody may do: to ask about himself. */
export type Permission = 'read' | 'access' | 'write' | 'manage' | 'purge' | 'self';

/** MANAGER administers, and neither reads payloads nor ends the wait of a purge: who needs more gets more roles. What AUDITOR permits, the audit log grants. */
const PERMITS: Readonly<Record<Role, readonly Permission[]>> = {
  READER: ['read'],
  SECRETS_READER: ['read', 'access'],
  WRITER: ['read', 'write'],
  MANAGER: ['read', 'write', 'manage'],
  PURGER: ['purge'],
  AUDITOR: [],
};

/** The system, an instance or a group. */
export type Scope = 'system' | InstancePath | GroupPath;

/** What a call acts on, with the right it needs there. */
export interface Guarded extends Resource {
  readonly scope: Scope;
  readonly permission: Permission;
  /** Another right that it needs there beside. */
  readonly also?: Permission | undefined;
  /** It is enough to have the right on something right below: a list that shows no more than that. */
  readonly below?: true;
}

export const scopeName = (scope: Scope): string => (scope === 'system' ? scope : 'group' in scope ? groupName(scope) : instanceName(scope));

/** A binding on the system counts in every instance, one on an instance in all its groups. */
export const scopesAbove = (scope: Scope): string[] => {
  if (scope === 'system') return ['system'];
  return 'group' in scope ? ['system', instanceName(scope), groupName(scope)] : ['system', instanceName(scope)];
};

/** Role names by scope name, of one principal. */
export type Bindings = ReadonlyMap<string, ReadonlySet<Role>>;

const permitsIn = (roles: ReadonlySet<Role> | undefined, permission: Permission): boolean =>
  [...(roles ?? [])].some((role) => PERMITS[role].includes(permission));

export const permits = (bindings: Bindings, scope: Scope, permission: Permission): boolean =>
  permission === 'self' || scopesAbove(scope).some((name) => permitsIn(bindings.get(name), permission));

/** What a binding on a scope is right below: a group's instance, an instance's system. */
const parentOf = (name: string): string => (name === 'system' ? '' : (/^(.*)\/groups\//.exec(name)?.[1] ?? 'system'));

/** IDs of the instances of the system, or of the groups of an instance, on which there is the right by a binding of their own. */
export const idsBelow = (bindings: Bindings, scope: Scope, permission: Permission): string[] =>
  [...bindings]
    .filter(([name, roles]) => parentOf(name) === scopeName(scope) && permitsIn(roles, permission))
    .map(([name]) => name.slice(name.lastIndexOf('/') + 1));

export const permitsBelow = (bindings: Bindings, scope: Scope, permission: Permission): boolean =>
  permits(bindings, scope, permission) || idsBelow(bindings, scope, permission).length > 0;

/** A right by the role of Manager of the system, which no network of an instance takes away: somebody must be able to help. */
export const administers = (bindings: Bindings, permission: Permission): boolean =>
  bindings.get('system')?.has('MANAGER') === true && PERMITS.MANAGER.includes(permission);

/** The roles that permit it. */
export const rolesFor = (permission: Permission): Role[] => ROLES.filter((role) => PERMITS[role].includes(permission));
