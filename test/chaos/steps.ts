// The durable steps at which these tests stop: those of a purge, those of the changes that race with its begin, and those of a
// purge epoch. Each is told by the change that its transaction makes.
export type Kind = 'INSTANCE' | 'GROUP' | 'SECRET' | 'VERSION';
export type Moment = 'before' | 'after';
export const MOMENTS = ['before', 'after'] as const satisfies readonly Moment[];
export const DATABASES = ['store', 'keys', 'audit'] as const;
export type Database = (typeof DATABASES)[number];

export interface Step {
  id: string;
  database: Database;
  /** Of the trigger: event, table, row or statement, condition. */
  on: string;
  /** The purges that have this step. */
  kinds: readonly Kind[];
  /** How many transactions can be in it at once, where that is not one for each purge. */
  most?: Partial<Record<Moment, number>>;
}

const ALL: readonly Kind[] = ['INSTANCE', 'GROUP', 'SECRET'];
const KEYED: readonly Kind[] = ['INSTANCE', 'GROUP'];
const purges = (when: string): string => `update on purges for each row when (${when})`;
const entry = (action: string): string =>
  `insert on entries for each row when (convert_from(new.leaf, 'UTF8') ~ '"action":"secrets[.](instance|group|secret)[.]${action}"')`;
/** One writer, and one row that every destroyed key raises. */
const ONE_BY_ONE = { before: 1, after: 1 };

/** Every durable step of a purge, in order. */
export const STEPS: readonly Step[] = [
  {
    id: 'begin',
    database: 'store',
    on: purges(`old.state = 'SCHEDULED' and new.state = 'DESTROYING_KEYS' and new.absorbed_by is null`),
    kinds: ALL,
  },
  { id: 'take over purges below', database: 'store', on: purges('old.absorbed_by is distinct from new.absorbed_by'), kinds: ['INSTANCE'] },
  { id: 'entry of the begin', database: 'audit', on: entry('purge[.]start'), kinds: ALL, most: ONE_BY_ONE },
  {
    id: 'scope key',
    database: 'keys',
    on: 'update on scope_versions for each row when (new.wrapped_key is null)',
    kinds: KEYED,
    most: { after: 1 },
  },
  { id: 'count of keys', database: 'store', on: purges('old.keys_cursor is distinct from new.keys_cursor'), kinds: KEYED },
  {
    id: 'erase payloads',
    database: 'store',
    on: `update on secret_versions for each row when (old.state <> 'DESTROYED' and new.state = 'DESTROYED')`,
    kinds: ['SECRET'],
  },
  { id: 'keys destroyed', database: 'store', on: purges(`old.state <> 'REMOVING_ROWS' and new.state = 'REMOVING_ROWS'`), kinds: ALL },
  { id: 'remove versions', database: 'store', on: 'delete on secret_versions for each statement', kinds: ALL },
  { id: 'remove secrets', database: 'store', on: 'delete on secrets for each statement', kinds: ALL },
  { id: 'remove groups', database: 'store', on: 'delete on secret_groups for each statement', kinds: KEYED },
  { id: 'remove bindings and instance', database: 'store', on: 'delete on bindings for each statement', kinds: KEYED, most: { after: 1 } },
  {
    id: 'let go of purges below',
    database: 'store',
    on: purges(`new.state = 'FINISHING' and old.state <> 'FINISHING' and new.absorbed_by is not null`),
    kinds: ['INSTANCE'],
  },
  {
    id: 'rows removed',
    database: 'store',
    on: purges(`new.state = 'FINISHING' and old.state <> 'FINISHING' and new.absorbed_by is null`),
    kinds: ALL,
  },
  { id: 'root key', database: 'keys', on: `update on root_keys for each row when (new.state = 'DESTROYED')`, kinds: ['INSTANCE'] },
  { id: 'end', database: 'store', on: purges('old.end_time is null and new.end_time is not null and new.absorbed_by is null'), kinds: ALL },
  { id: 'entry of the end', database: 'audit', on: entry('purge'), kinds: ALL, most: ONE_BY_ONE },
  { id: 'receipt', database: 'store', on: purges(`new.state = 'DONE' and new.absorbed_by is null`), kinds: ALL },
  {
    id: 'job done',
    database: 'store',
    on: `delete on graphile_worker._private_jobs for each row when (old.key like 'purge:%' and old.locked_by is not null)`,
    kinds: ALL,
    // Those that end together are deleted by one statement.
    most: ONE_BY_ONE,
  },
];

/** The step before all of them, and the store's. */
export const DELETE: Step = { id: 'delete', database: 'store', on: 'insert on purges for each row', kinds: ALL };

/** What a worker does in place of the begin, when there is a hold. */
export const HELD: Step = { id: 'wait for a hold', database: 'store', on: purges('new.held and not old.held'), kinds: ['GROUP'] };

/** What callers of the store do to what is due, or to make it due. */
export const CHANGES = {
  createHold: { id: 'create a hold', database: 'store', on: 'insert on holds for each row', kinds: ['GROUP'] },
  deleteHold: { id: 'delete a hold', database: 'store', on: 'delete on holds for each row', kinds: ['GROUP'] },
  undelete: {
    id: 'undelete, restore',
    database: 'store',
    on: `delete on purges for each row when (old.state = 'SCHEDULED')`,
    kinds: ['INSTANCE', 'GROUP', 'SECRET', 'VERSION'],
  },
  expedite: { id: 'expedite', database: 'store', on: purges('new.purge_time < old.purge_time'), kinds: ['GROUP'] },
} as const satisfies Record<string, Step>;

const masterKeys = (when: string): string => `update on master_keys for each row when (${when})`;

/**
 * A rotation of the master key, in order. Between the first two its file is written, in the transaction of the last one it is
 * overwritten and removed.
 */
export const EPOCH: readonly Step[] = [
  { id: 'new master key', database: 'keys', on: `insert on master_keys for each row when (new.state = 'NEW')`, kinds: [] },
  { id: 'current', database: 'keys', on: masterKeys(`new.state = 'CURRENT'`), kinds: [] },
  // The last change of the transaction in which a root key gets its new version, and its scopes move to it.
  {
    id: 'renew a root key',
    database: 'keys',
    on: 'update on root_key_versions for each row when (old.ref is not null and new.ref is null)',
    kinds: [],
  },
  { id: 'empty', database: 'keys', on: masterKeys('old.empty_time is null and new.empty_time is not null'), kinds: [] },
  { id: 'destroy', database: 'keys', on: masterKeys(`old.state = 'PREVIOUS' and new.state = 'DESTROYED'`), kinds: [] },
];

/** How many transactions can be in it at once, if purges of these kinds are on their way. */
export const mostAt = (step: Step, moment: Moment, kinds: readonly Kind[]): number =>
  Math.min(step.kinds.filter((kind) => kinds.includes(kind)).length, step.most?.[moment] ?? Infinity);

export const GATED: readonly Step[] = [...STEPS, DELETE, HELD, ...Object.values(CHANGES), ...EPOCH];
