// Who may do what with root keys: roles, what each permits, and where a right counts. Pure; the grants come from elsewhere.
import type { Resource } from '../kernel/table.ts';
import { ALL, keyRingName, rootKeyName, type KeyRingPath, type RootKeyPath } from './names.ts';

export const ROLES = ['READER', 'MANAGER', 'PURGER'] as const;
/** PROVISIONER is in the configuration only: a service that makes root keys for its instances. */
export type Role = (typeof ROLES)[number] | 'PROVISIONER';
export type Permission = 'read' | 'manage' | 'purge' | 'provision';

const PERMITS: Readonly<Record<Role, readonly Permission[]>> = {
  READER: ['read'],
  MANAGER: ['read', 'manage'],
  PURGER: ['read', 'purge'],
  PROVISIONER: ['read', 'provision'],
};

/** The key ring of provider-managed root keys. */
export const PROVIDER: KeyRingPath = { keyRing: 'provider' };

/** All key rings, one, or a root key. */
export type Target = typeof ALL | KeyRingPath | RootKeyPath;

/** What a call acts on, with the right that it needs there; without one the allowlist is all, and the handler checks the rest. */
export interface Guarded extends Resource {
  readonly guard?: { readonly target: Target; readonly permission: Permission };
}

export const targetName = (target: Target): string => (target === ALL ? ALL : 'key' in target ? rootKeyName(target) : keyRingName(target));

/** A grant on all counts in every key ring, one on a key ring for all its keys. */
export const targetsAbove = (target: Target): string[] => {
  if (target === ALL) return [ALL];
  return 'key' in target ? [ALL, keyRingName(target), rootKeyName(target)] : [ALL, keyRingName(target)];
};

/** Roles by target name, of one principal. */
export type Roles = ReadonlyMap<string, ReadonlySet<Role>>;

export const permits = (roles: Roles, target: Target, permission: Permission): boolean =>
  targetsAbove(target).some((name) => [...(roles.get(name) ?? [])].some((role) => PERMITS[role].includes(permission)));
