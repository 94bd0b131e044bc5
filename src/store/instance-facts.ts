// What every call has to know of the instance that it is about: the UID, for its audit entry, from where it may be reached, and its limits.
// Kept in memory until the epoch of the bindings moves, which a change of any of it raises too.
import type { Db } from '../kernel/db.ts';
import type { Scope } from './access.ts';
import type { InstanceLimits, Overrides } from './limits.ts';
import { admitsFrom, type Admits } from './networks.ts';
import { selectInstanceFacts } from './sql/instances.ts';

const MOST = 10_000;

export interface InstanceFacts {
  readonly uid: string;
  readonly admits: Admits;
  readonly limits: InstanceLimits;
  /** Those of the limits that are its own. */
  readonly overrides: Overrides;
}

export interface KnownInstances {
  /** Undefined for what belongs to no instance, or to none that is there. */
  of(scope: Scope): Promise<InstanceFacts | undefined>;
  /** The same, in the same time whether the instance is there or not. */
  lookUp(scope: Scope): Promise<InstanceFacts | undefined>;
}

/** `limits` are those that an instance has unless it has others; `generation` counts the moves of the epoch. */
export const openKnownInstances = (db: Db, limits: InstanceLimits, generation: () => number): KnownInstances => {
  const known = new Map<string, { since: number; facts: InstanceFacts }>();
  const lookUp = async (scope: Scope): Promise<InstanceFacts | undefined> => {
    if (scope === 'system') return undefined;
    // Counted before: what is read while the epoch moves must not stay.
    const since = generation();
    const row = await selectInstanceFacts(db.read, scope.instance);
    if (!row) return undefined;
    const { instance_uid: uid, allowed_networks: networks, limits: overrides } = row;
    const facts = { uid, admits: admitsFrom(networks), limits: { ...limits, ...overrides }, overrides };
    const [oldest] = known.keys();
    if (known.size >= MOST && oldest !== undefined) known.delete(oldest);
    known.set(scope.instance, { since, facts });
    return facts;
  };
  const kept = (scope: Scope): InstanceFacts | undefined => {
    const entry = scope === 'system' ? undefined : known.get(scope.instance);
    return entry?.since === generation() ? entry.facts : undefined;
  };
  return { lookUp, of: async (scope) => kept(scope) ?? lookUp(scope) };
};
