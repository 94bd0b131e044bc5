// What TestPermissions answers by, held against the tables that decide: every action, with the right that its row asks for.
import { describe, expect, it } from 'vitest';
import { scopeName, type Guarded, type Permission } from '../../src/store/access.ts';
import { ACTIONS, mayDo } from '../../src/store/permissions.ts';
import { registrations } from '../../src/store/service.ts';
import type { Store } from '../../src/store/store.ts';

const group = 'instances/a/groups/g';
const NAMES = [
  'instances/a',
  group,
  `${group}/secrets/s`,
  `${group}/secrets/s/versions/1`,
  `${group}/holds/h`,
  `${group}/secrets/s/versions/1/locks/l`,
  `purges/${crypto.randomUUID()}`,
];

/** A request, whatever it is of, all of whose fields name the resource, and so do all of theirs. It has no mask. */
const requestAbout = (name: string): unknown => {
  const field = Object.assign(Object(name) as object, { name, scope: name });
  return new Proxy({}, { get: (_, key) => (key === 'updateMask' ? undefined : field) });
};

const guardedOf = (resource: (request: unknown) => unknown): Guarded => {
  for (const name of NAMES) {
    try {
      return resource(requestAbout(name)) as Guarded;
    } catch {
      // Another kind of name, then.
    }
  }
  throw new Error('no request fits');
};

// Of a batch each item is decided by itself, as a call of its own is, which has the same action.
const rows = registrations({} as Store).flatMap(({ table }) =>
  Object.entries(table).flatMap(([name, row]) => (name === 'batchAccess' ? [] : [row])),
);

describe('the actions that permissions can be asked for', () => {
  it('are those of the tables', () => {
    expect([...ACTIONS].sort()).toEqual([...new Set(rows.map(({ action }) => action))].sort());
  });

  it.each(rows)('$action needs there what its row says', ({ action, resource }) => {
    const { scope, permission, below } = guardedOf(resource);
    const roles = {
      read: 'READER',
      access: 'SECRETS_READER',
      write: 'WRITER',
      manage: 'MANAGER',
      purge: 'PURGER',
      self: 'AUDITOR',
    } as const;
    const weaker: Readonly<Record<Permission, 'READER' | 'WRITER' | 'PURGER' | undefined>> = {
      read: 'PURGER',
      access: 'WRITER',
      write: 'READER',
      manage: 'WRITER',
      purge: 'READER',
      self: undefined,
    };
    const where = below ? (scope === 'system' ? 'instances/a' : `${scopeName(scope)}/groups/g`) : scopeName(scope);
    expect(mayDo(new Map([[where, new Set([roles[permission]])]]), scope, action)).toBe(true);
    const less = weaker[permission];
    if (less) expect(mayDo(new Map([[where, new Set([less])]]), scope, action)).toBe(false);
  });

  it('of the system alone are not done by who has the right on an instance', () => {
    const bindings = new Map([['instances/a', new Set(['MANAGER'] as const)]]);
    for (const action of ['secrets.instance.create', 'secrets.purge.list'])
      expect(mayDo(bindings, { instance: 'a' as never }, action)).toBe(false);
  });

  it('are no others', () => {
    expect(mayDo(new Map([['system', new Set(['MANAGER'] as const)]]), 'system', 'keys.key.read')).toBe(false);
  });
});
