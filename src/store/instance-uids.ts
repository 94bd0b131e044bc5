// The UIDs of instances by their names, for audit entries: also a call that is denied, or fails, is about an instance. A name never
// comes to mean another instance, so what is known once stays known.
import type { Db } from '../kernel/db.ts';
import type { Scope } from './access.ts';
import { selectInstanceUid } from './sql/instances.ts';

const MOST = 10_000;

export interface InstanceUids {
  /** Empty for what belongs to no instance, or to none that is there. */
  of(scope: Scope): Promise<string>;
  /** The same, in the same time whether the instance is there or not. */
  lookUp(scope: Scope): Promise<string>;
}

export const openInstanceUids = (db: Db): InstanceUids => {
  const known = new Map<string, string>();
  const lookUp = async (scope: Scope): Promise<string> => {
    if (scope === 'system') return '';
    const uid = (await selectInstanceUid(db.read, scope.instance)) ?? '';
    const [oldest] = known.keys();
    if (known.size >= MOST && oldest !== undefined) known.delete(oldest);
    if (uid !== '') known.set(scope.instance, uid);
    return uid;
  };
  return { lookUp, of: async (scope) => (scope === 'system' ? '' : (known.get(scope.instance) ?? lookUp(scope))) };
};
