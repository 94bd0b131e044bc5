import { describe, expect, it } from 'vitest';
import {
  administers,
  idsBelow,
  permits,
  permitsBelow,
  rolesFor,
  ROLES,
  scopeName,
  type Bindings,
  type Permission,
  type Role,
  type Scope,
} from '../../src/store/access.ts';
import { parseGroup, parseInstance } from '../../src/store/names.ts';

type Right = Exclude<Permission, 'self'>;
const PERMISSIONS: readonly Right[] = ['read', 'access', 'write', 'manage', 'purge'];

/** DESIGN: who may do what. Written out, so that a change of the table is a change of this test. */
const EXPECTED: Record<Role, Record<Right, boolean>> = {
  READER: { read: true, access: false, write: false, manage: false, purge: false },
  SECRETS_READER: { read: true, access: true, write: false, manage: false, purge: false },
  WRITER: { read: true, access: false, write: true, manage: false, purge: false },
  MANAGER: { read: true, access: false, write: true, manage: true, purge: false },
  PURGER: { read: false, access: false, write: false, manage: false, purge: true },
  AUDITOR: { read: false, access: false, write: false, manage: false, purge: false },
};

const instance = parseInstance('instances/a');
const group = parseGroup('instances/a/groups/g');
const SCOPES: Scope[] = [
  'system',
  instance,
  group,
  parseGroup('instances/a/groups/h'),
  parseInstance('instances/b'),
  parseGroup('instances/b/groups/g'),
];

/** By where the binding is and what is asked for: whether the one is the other or around it. */
const COVERS: Record<string, readonly string[]> = {
  system: SCOPES.map(scopeName),
  'instances/a': ['instances/a', 'instances/a/groups/g', 'instances/a/groups/h'],
  'instances/a/groups/g': ['instances/a/groups/g'],
  'instances/a/groups/h': ['instances/a/groups/h'],
  'instances/b': ['instances/b', 'instances/b/groups/g'],
  'instances/b/groups/g': ['instances/b/groups/g'],
};

const bound = (...bindings: [Scope, Role][]): Bindings => {
  const map = new Map<string, Set<Role>>();
  for (const [scope, role] of bindings) map.set(scopeName(scope), (map.get(scopeName(scope)) ?? new Set()).add(role));
  return map;
};

describe('one binding', () => {
  for (const role of ROLES) {
    it(`of ${role} permits what its role says on its scope and below, and nothing above or beside`, () => {
      for (const at of SCOPES) {
        for (const asked of SCOPES) {
          for (const permission of PERMISSIONS) {
            const expected = EXPECTED[role][permission] && (COVERS[scopeName(at)] ?? []).includes(scopeName(asked));
            expect(permits(bound([at, role]), asked, permission), `${role} on ${scopeName(at)}: ${permission} ${scopeName(asked)}`).toBe(
              expected,
            );
          }
        }
      }
    });
  }
});

describe('bindings', () => {
  it('are none for who has none', () => {
    for (const scope of SCOPES) for (const permission of PERMISSIONS) expect(permits(new Map(), scope, permission)).toBe(false);
  });

  it('add up: Manager of the system and SecretsReader of one group reads payloads there and nowhere else', () => {
    const both = bound(['system', 'MANAGER'], [group, 'SECRETS_READER']);
    expect(permits(both, group, 'access')).toBe(true);
    expect(permits(both, instance, 'access')).toBe(false);
    expect(permits(both, parseGroup('instances/b/groups/g'), 'access')).toBe(false);
    expect(permits(both, instance, 'manage')).toBe(true);
  });

  it('on one scope do not hide each other', () => {
    const both = bound([group, 'READER'], [group, 'WRITER']);
    expect(PERMISSIONS.filter((permission) => permits(both, group, permission))).toEqual(['read', 'write']);
  });

  it('on an instance do not reach one whose name begins the same', () => {
    expect(permits(bound([instance, 'MANAGER']), parseInstance('instances/ab'), 'read')).toBe(false);
    expect(permits(bound([group, 'MANAGER']), parseGroup('instances/a/groups/gg'), 'read')).toBe(false);
  });
});

describe('a list of what is right below', () => {
  const mine = bound([group, 'READER'], [parseGroup('instances/a/groups/h'), 'PURGER'], [parseGroup('instances/b/groups/g'), 'WRITER']);

  it('shows the groups of that instance on which there is the right, and no others', () => {
    expect(idsBelow(mine, instance, 'read')).toEqual(['g']);
    expect(permitsBelow(mine, instance, 'read')).toBe(true);
    expect(permitsBelow(mine, instance, 'manage')).toBe(false);
    expect(permitsBelow(mine, parseInstance('instances/c'), 'read')).toBe(false);
  });

  it('of instances does not show one because of a group in it', () => {
    expect(permitsBelow(mine, 'system', 'read')).toBe(false);
    expect(idsBelow(bound([instance, 'READER'], [group, 'READER'], ['system', 'AUDITOR']), 'system', 'read')).toEqual(['a']);
  });
});

describe('a question about oneself', () => {
  it('is everybody’s', () => {
    expect(permits(new Map(), 'system', 'self')).toBe(true);
  });
});

describe('the role that no network of an instance binds', () => {
  it('is Manager of the system, for what that role permits, and no payload is in it', () => {
    const both = bound(['system', 'MANAGER'], ['system', 'SECRETS_READER'], ['system', 'PURGER']);
    expect(PERMISSIONS.filter((permission) => administers(both, permission))).toEqual(['read', 'write', 'manage']);
    expect(PERMISSIONS.filter((permission) => administers(bound([instance, 'MANAGER'], ['system', 'READER']), permission))).toEqual([]);
  });
});

describe('who reads payloads', () => {
  it('is who has a role that permits it', () => {
    expect(rolesFor('access')).toEqual(['SECRETS_READER']);
  });
});
