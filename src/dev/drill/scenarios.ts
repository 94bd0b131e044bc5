// Which databases a scenario brings back, from what, and what then has to hold: for every item what a read answers and
// whether its scope key lives. What is written here as READ although it was purged is what we cannot prevent; the reason
// stands beside it, and in docs/deletion.md.
import type { Database } from './dump.ts';
import type { ItemId } from './items.ts';

export type Source = 'nothing' | 'dumps' | 'base backup';

/** What a read answers, and the state of the scope key: lost is one of which no version is left, although its scope is there. */
export type Outcome = readonly [read: string, key: 'alive' | 'lost' | 'destroyed' | 'unknown' | 'KEYS_UNAVAILABLE'];

export interface Scenario {
  id: string;
  title: string;
  source: Source;
  restored: readonly Database[];
  /** Whether the master key of the time of the backup is destroyed. */
  isEpochOver: boolean;
  expected: Readonly<Record<ItemId, Outcome>>;
  /** Part of the message with which each of these refuses to start. */
  refusals: readonly string[];
  why: string;
}

const GONE: Outcome = ['NOT_FOUND', 'destroyed'];
const KEPT: Outcome = ['READ', 'alive'];
const BACK: Outcome = ['READ', 'alive'];
const HIDDEN: Outcome = ['NOT_FOUND', 'alive'];
/** What a read answers when the version of the key is destroyed that the data key is wrapped by. */
const CLOSED = 'SCOPE_KEY_VERSION_DESTROYED';

const TODAY: Scenario['expected'] = {
  group: GONE,
  waiting: GONE,
  instance: GONE,
  secret: HIDDEN,
  rekeyed: HIDDEN,
  kept: KEPT,
  young: KEPT,
};

/** The store is there, and its keys are not. */
const SHUT: Outcome = ['KEYS_UNAVAILABLE', 'KEYS_UNAVAILABLE'];

/** After a return of all three there is nothing left that would know of the purge, until the epoch of the master key ends. */
const ALL_BACK: Scenario['expected'] = {
  group: BACK,
  waiting: GONE,
  instance: BACK,
  secret: BACK,
  rekeyed: BACK,
  kept: KEPT,
  young: ['NOT_FOUND', 'unknown'],
};

export const SCENARIOS: readonly Scenario[] = [
  {
    id: 'today',
    title: 'nothing restored',
    source: 'nothing',
    restored: [],
    isEpochOver: false,
    expected: TODAY,
    refusals: [],
    why: 'what was purged is gone; a secret has no scope key of its own, so that of its group lives on, in a new version where it was replaced',
  },
  {
    id: 'store',
    title: 'store alone',
    source: 'dumps',
    restored: ['store'],
    isEpochOver: false,
    expected: { group: GONE, waiting: GONE, instance: GONE, secret: BACK, rekeyed: [CLOSED, 'alive'], kept: KEPT, young: HIDDEN },
    refusals: [],
    why:
      'the rows are back and their scope keys are not: nothing opens them, and the worker finds and removes them. ' +
      'The secret opens again: it has no key of its own. The other one does not, because the key of its group was replaced: ' +
      'and neither would anything else of that group. The younger group is not in the backup; its key protects nothing',
  },
  {
    id: 'keys',
    title: 'keys alone',
    source: 'dumps',
    restored: ['keys'],
    isEpochOver: false,
    expected: {
      group: GONE,
      waiting: GONE,
      instance: GONE,
      secret: HIDDEN,
      rekeyed: ['NOT_FOUND', 'lost'],
      kept: KEPT,
      young: ['DATA_CORRUPTED', 'unknown'],
    },
    refusals: [],
    why:
      'the key service reads in the audit log what was destroyed since, and destroys it again before it serves. ' +
      'The younger group has lost its key: it is lost for good. So has the group whose key was replaced: the new version is not in the backup',
  },
  {
    id: 'audit',
    title: 'audit log alone',
    source: 'dumps',
    restored: ['audit'],
    isEpochOver: false,
    expected: TODAY,
    refusals: [],
    why: 'nothing comes back. The log has lost its newest entries and goes on without them: only a receipt or a checkpoint kept elsewhere tells',
  },
  {
    id: 'store-keys',
    title: 'store and keys',
    source: 'dumps',
    restored: ['store', 'keys'],
    isEpochOver: false,
    expected: {
      group: GONE,
      waiting: GONE,
      instance: GONE,
      secret: BACK,
      rekeyed: [CLOSED, 'lost'],
      kept: KEPT,
      young: ['NOT_FOUND', 'unknown'],
    },
    refusals: [],
    why: 'the keys are destroyed again before they serve, and the rows that they had protected are found and removed',
  },
  {
    id: 'dumps',
    title: 'all three, from dumps',
    source: 'dumps',
    restored: ['store', 'keys', 'audit'],
    isEpochOver: false,
    expected: ALL_BACK,
    refusals: [],
    why: 'the log does not know of the purge any more: what it protected opens until the epoch of the master key ends, see docs/deletion.md',
  },
  {
    id: 'base',
    title: 'all, from the base backup',
    source: 'base backup',
    restored: ['store', 'keys', 'audit'],
    isEpochOver: false,
    expected: ALL_BACK,
    refusals: [],
    why: 'the same with PostgreSQL’s own backup',
  },
  {
    id: 'epoch-today',
    title: 'nothing restored, after the epoch',
    source: 'nothing',
    restored: [],
    isEpochOver: true,
    expected: TODAY,
    refusals: [],
    why: 'the master key was replaced and the one before destroyed: what is alive was wrapped anew before, and opens as it did',
  },
  {
    id: 'epoch-base',
    title: 'all, from the base backup, after the epoch',
    source: 'base backup',
    restored: ['store', 'keys', 'audit'],
    isEpochOver: true,
    expected: {
      group: SHUT,
      waiting: ['PURGE_STARTED', SHUT[1]],
      instance: SHUT,
      secret: SHUT,
      rekeyed: SHUT,
      kept: SHUT,
      young: ['NOT_FOUND', SHUT[1]],
    },
    refusals: ['this database is a backup that nothing opens any more'],
    why:
      'the same backup, complete, beside today’s folder of master keys: all of its root keys are sealed under a master key that is destroyed, ' +
      'so no scope key in it opens, of what was purged or of anything else, and the key service refuses to begin with it',
  },
];
