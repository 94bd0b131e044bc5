// Bindings on their way in: scope, principal and role, parsed.
import { Role as RoleMessage, type Binding } from '../gen/strongroom/secrets/v1/binding_service.ts';
import type { Queryable } from '../kernel/db.ts';
import { invalid } from '../kernel/errors.ts';
import { ROLES, type Role, type Scope } from './access.ts';
import { loadGroup, loadInstance } from './load.ts';
import { parseGroup, parseInstance } from './names.ts';

export const parseScope = (text: string, field: string): Scope => {
  if (text === 'system') return 'system';
  return text.includes('/groups/') ? parseGroup(text, field) : parseInstance(text, field);
};

export const parseRole = (message: RoleMessage, field: string): Role => {
  const role = ROLES.find((r) => RoleMessage[r] === message);
  if (!role) throw invalid(field, `must be one of ${ROLES.map((r) => `ROLE_${r}`).join(', ')}`);
  return role;
};

export const requireBinding = (binding: Binding | undefined): Binding => {
  if (!binding) throw invalid('binding', 'is required');
  return binding;
};

/** The audit log knows instances, and no groups; who reads all of it is not for this service to say. */
export const assertFits = (role: Role, scope: Scope): void => {
  if (role === 'AUDITOR' && (scope === 'system' || 'group' in scope))
    throw invalid('binding.role', 'ROLE_AUDITOR is for an instance; who reads the whole audit log stands in its configuration');
};

/** A binding on what does not exist would wait for somebody to create it. */
export const assertScopeExists = async (db: Queryable, scope: Scope): Promise<void> => {
  if (scope === 'system') return;
  if ('group' in scope) await loadGroup(db, scope);
  else await loadInstance(db, scope);
};
