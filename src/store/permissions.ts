// What each action of this service needs, on what it acts on. The tables of RPCs say it too, for one request at a time; a test
// holds both together. Pure.
import { permits, permitsBelow, type Bindings, type Permission, type Scope } from './access.ts';

interface Need {
  readonly permission: Permission;
  /** On the system, whatever it is about; or on something right below. */
  readonly where?: 'system' | 'below';
}

const all = (need: Need, ...actions: string[]): [string, Need][] => actions.map((action) => [`secrets.${action}`, need]);

const NEEDS: ReadonlyMap<string, Need> = new Map([
  ...all({ permission: 'self' }, 'caller.read', 'permission.test'),
  ...all({ permission: 'read', where: 'below' }, 'instance.list', 'group.list'),
  ...all({ permission: 'read', where: 'system' }, 'purge.read', 'purge.list', 'purge.watch', 'purge.count'),
  ...all(
    { permission: 'read' },
    'instance.read',
    'group.read',
    'rekey.read',
    'rekey.watch',
    'secret.read',
    'limits.read',
    'secret.list',
    'secret.watch',
    'lock.list',
    'version.read',
    'version.list',
  ),
  ...all({ permission: 'access' }, 'version.access'),
  ...all(
    { permission: 'write' },
    'secret.create',
    'secret.update',
    'secret.rotate',
    'secret.rollback',
    'alias.set',
    'alias.delete',
    'lock.create',
    'lock.delete',
    'version.create',
    'version.enable',
    'version.disable',
  ),
  ...all({ permission: 'manage', where: 'system' }, 'instance.create', 'limits.set'),
  ...all({ permission: 'manage' }, 'instance.update', 'instance.delete', 'instance.undelete'),
  ...all({ permission: 'manage' }, 'group.create', 'group.update', 'group.delete', 'group.undelete', 'group.rekey.start'),
  ...all(
    { permission: 'manage' },
    'secret.delete',
    'secret.undelete',
    'secret.readers.list',
    'secret.move',
    'version.destroy',
    'version.expiration.set',
    'version.restore',
  ),
  ...all({ permission: 'manage' }, 'binding.create', 'binding.list', 'binding.delete'),
  ...all({ permission: 'manage' }, 'hold.create', 'hold.read', 'hold.list', 'hold.delete'),
  ...all({ permission: 'purge' }, 'purge.expedite'),
]);

export const ACTIONS = [...NEEDS.keys()];

export const isAction = (action: string): boolean => NEEDS.has(action);

export const mayDo = (bindings: Bindings, scope: Scope, action: string): boolean => {
  const need = NEEDS.get(action);
  if (!need) return false;
  const decide = need.where === 'below' ? permitsBelow : permits;
  return decide(bindings, need.where === 'system' ? 'system' : scope, need.permission);
};
