// Who may do what: roles, what each permits, and where a right counts. Pure; the bindings come from elsewhere.
import type { Resource } from '../kernel/table.ts';
import { groupName, instanceName, type GroupPath, type InstancePath } from './names.ts';

export const ROLES = ['READER', 'SECRETS_READER', 'WRITER', 'MANAGER', 'PURGER', 'AUDITOR'] as const;
export type Role = (typeof ROLES)[number];
export type Permission = 'read' | 'access' | 'write' | 'manage' | 'purge';

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
  /** Null: none for the call itself; its handler asks for the right to each thing that it acts on. */
  readonly permission: Permission | null;
}

export const scopeName = (scope: Scope): string => (scope === 'system' ? scope : 'group' in scope ? groupName(scope) : instanceName(scope));

/** A binding on the system counts in every instance, one on an instance in all its groups. */
const scopesAbove = (scope: Scope): string[] => {
  if (scope === 'system') return ['system'];
  return 'group' in scope ? ['system', instanceName(scope), groupName(scope)] : ['system', instanceName(scope)];
};

/** Role names by scope name, of one principal. */
export type Bindings = ReadonlyMap<string, ReadonlySet<Role>>;

export const permits = (bindings: Bindings, scope: Scope, permission: Permission): boolean =>
  scopesAbove(scope).some((name) => [...(bindings.get(name) ?? [])].some((role) => PERMITS[role].includes(permission)));

/** The IDs of the groups of an instance where a right counts; null for all of them. */
export const groupsWith = (bindings: Bindings, instance: InstancePath, permission: Permission): string[] | null => {
  if (permits(bindings, instance, permission)) return null;
  const prefix = `${instanceName(instance)}/groups/`;
  return [...bindings]
    .filter(([scope, roles]) => scope.startsWith(prefix) && [...roles].some((role) => PERMITS[role].includes(permission)))
    .map(([scope]) => scope.slice(prefix.length));
};
