// Stops a purge exactly at one of its durable steps, so that a process can be killed there: triggers that only these tests
// install, as superuser, and that do nothing as long as their gate is open. `before`: the transaction of the step waits with
// its change made and not committed. `after`: its commit is on stable storage, and nobody has been told: it waits for a
// standby that does not exist.
import type pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/dev/provision.ts';
import type { Stack } from '../../src/dev/stack.ts';

export type Kind = 'INSTANCE' | 'GROUP' | 'SECRET';
export type Moment = 'before' | 'after';
const DATABASES = ['store', 'keys', 'audit'] as const;
type Database = (typeof DATABASES)[number];

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
  },
];

/** The step before all of them, and the store's. */
export const DELETE: Step = { id: 'delete', database: 'store', on: 'insert on purges for each row', kinds: ALL };
const GATED = [...STEPS, DELETE];

const INSTALL = `
  create table if not exists test_gates (step int, moment text, primary key (step, moment));
  create or replace function test_gate() returns trigger language plpgsql security definer as $$
  declare
    at int := tg_argv[0]::int;
    name text := format('gate before %s', at);
  begin
    if exists (select from public.test_gates where step = at and moment = 'before') then
      perform set_config('application_name', name, false);
      while exists (select from public.test_gates where step = at and moment = 'before') loop
        perform pg_sleep(0.01);
      end loop;
      perform set_config('application_name', 'passed', false);
    end if;
    if exists (select from public.test_gates where step = at and moment = 'after') then
      perform set_config('application_name', format('gate after %s', at), false), set_config('synchronous_commit', 'on', true);
    end if;
    return coalesce(new, old);
  end $$`;

export interface Gates extends AsyncDisposable {
  /** Shuts every gate before its step, but that of the delete. */
  shutAll(): Promise<void>;
  openAll(): Promise<void>;
  shut(step: Step, moment: Moment): Promise<void>;
  open(step: Step, moment: Moment): Promise<void>;
  /** Resolves when as many wait there as can; lets those go on meanwhile that wait at the end of another step. */
  arrival(step: Step, moment: Moment, kinds: readonly Kind[], nudge: () => Promise<void>): Promise<void>;
  /** Ends what the server still does for a process that is dead. */
  endBackendsOf(role: string): Promise<void>;
  sql<Row extends object>(database: Database, text: string, values?: unknown[]): Promise<Row[]>;
}

const ARRIVAL_MS = 30_000;

/** Connections of its own are opened for each question: the server is killed between them. */
export const openGates = async (stack: Stack): Promise<Gates> => {
  const open = new Map<string, pg.Client>();
  const sql = async <Row extends object>(database: string, text: string, values: unknown[] = []): Promise<Row[]> => {
    for (let tries = 1; ; tries++) {
      try {
        const client = open.get(database) ?? (await connect(stack, database, 'superuser'));
        open.set(database, client);
        return (await client.query<Row & pg.QueryResultRow>(text, values)).rows;
      } catch (error) {
        open.delete(database);
        if (tries === 3 || (error as { code?: string }).code?.length === 5) throw error;
      }
    }
  };
  const numberOf = (step: Step): number => GATED.indexOf(step);

  await sql('postgres', `alter system set synchronous_commit = 'local'`);
  await sql('postgres', `alter system set synchronous_standby_names = 'nobody'`);
  await sql('postgres', 'select pg_reload_conf()');
  for (const database of DATABASES) {
    await sql(database, INSTALL);
    for (const [at, step] of GATED.entries())
      if (step.database === database)
        await sql(
          database,
          `create trigger test_gate_${at} before ${step.on.replace(/ when /, '\nwhen ')} execute function test_gate(${at})`,
        );
  }

  const waiting = async (step: Step, moment: Moment): Promise<number> => {
    const text = `select count(*)::int as count from pg_stat_activity where application_name = $1 and wait_event = $2`;
    const name = `gate ${moment} ${numberOf(step)}`;
    return (await sql<{ count: number }>('postgres', text, [name, moment === 'before' ? 'PgSleep' : 'SyncRep']))[0]?.count ?? 0;
  };
  const shut = async (step: Step, moment: Moment): Promise<void> =>
    void (await sql(step.database, 'insert into test_gates (step, moment) values ($1, $2) on conflict do nothing', [
      numberOf(step),
      moment,
    ]));

  /** Some come to the end of their commit only when another one has left it. */
  const letGoOn = (except: string): Promise<object[]> =>
    sql(
      'postgres',
      `select pg_cancel_backend(pid) from pg_stat_activity where application_name like 'gate after%' and application_name <> $1 and wait_event = 'SyncRep'`,
      [except],
    );

  return {
    shutAll: async () => {
      for (const step of STEPS) await shut(step, 'before');
    },
    openAll: async () => {
      for (const database of DATABASES) await sql(database, 'delete from test_gates');
      await letGoOn('');
    },
    shut,
    open: async (step, moment) =>
      void (await sql(step.database, 'delete from test_gates where step = $1 and moment = $2', [numberOf(step), moment])),
    arrival: async (step, moment, kinds, nudge) => {
      const wanted = Math.min(step.kinds.filter((kind) => kinds.includes(kind)).length, step.most?.[moment] ?? Infinity);
      for (const end = Date.now() + ARRIVAL_MS; (await waiting(step, moment)) < wanted; await sleep(20)) {
        await letGoOn(`gate ${moment} ${numberOf(step)}`);
        await nudge();
        if (Date.now() < end) continue;
        const seen = await sql(
          'postgres',
          `select usename, application_name, wait_event, left(query, 60) as query from pg_stat_activity where application_name like 'gate%'`,
        );
        throw new Error(`${moment} "${step.id}": of ${wanted} arrived ${await waiting(step, moment)}: ${JSON.stringify(seen)}`);
      }
    },
    endBackendsOf: async (role) => {
      const others = 'select pid from pg_stat_activity where usename = $1';
      await sql('postgres', `select pg_terminate_backend(pid) from (${others}) as dead`, [role]);
      for (const end = Date.now() + 5_000; Date.now() < end && (await sql('postgres', others, [role])).length > 0; await sleep(10));
    },
    sql,
    [Symbol.asyncDispose]: async () => {
      for (const client of open.values()) await client.end().catch(() => undefined);
    },
  };
};
