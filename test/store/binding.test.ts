import { describe, expect, it } from 'vitest';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { ROLES, scopeName } from '../../src/store/access.ts';
import { parsePrincipal } from '../../src/kernel/fields.ts';
import { parseRole, parseScope, requireBinding } from '../../src/store/binding.ts';

describe('a binding on its way in', () => {
  it.each(['system', 'instances/a', 'instances/a/groups/g'])('may have the scope %s', (scope) => {
    expect(scopeName(parseScope(scope, 'binding.scope'))).toBe(scope);
  });

  it.each(['', 'System', 'instances', 'instances/', 'instances/A', 'instances/a/groups/', 'instances/a/groups/g/secrets/s', 'groups/g'])(
    'may not have the scope %j',
    (scope) => {
      expect(() => parseScope(scope, 'binding.scope')).toThrow(
        expect.objectContaining({ reason: 'MALFORMED_NAME', violations: [expect.objectContaining({ field: 'binding.scope' })] }),
      );
    },
  );

  it('has a SPIFFE ID as its principal, no pattern and no name', () => {
    expect(parsePrincipal('spiffe://strongroom.internal/app', 'binding.principal')).toBe('spiffe://strongroom.internal/app');
    for (const bad of ['', 'app', '*', 'spiffe://strongroom.internal/*', 'spiffe://strongroom.internal']) {
      expect(() => parsePrincipal(bad, 'binding.principal'), bad).toThrow(
        expect.objectContaining({ violations: [expect.objectContaining({ field: 'binding.principal' })] }),
      );
    }
  });

  it('has one of the roles of this program, each of which the message knows', () => {
    expect(ROLES.map((role) => parseRole(Role[role], 'binding.role'))).toEqual([...ROLES]);
    for (const bad of [0, 99]) expect(() => parseRole(bad as never, 'binding.role')).toThrow(/ROLE_READER, ROLE_SECRETS_READER/);
  });

  it('must be there', () => {
    expect(() => requireBinding(undefined)).toThrow(/binding: is required/);
  });
});
