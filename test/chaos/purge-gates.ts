// Stops a purge exactly at one of its durable steps, so that a process can be killed there: triggers that only these tests
// install, as superuser, and that do nothing as long as their gate is open. `before`: the transaction of the step waits with
// its change made and not committed. `after`: its commit is on stable storage, and nobody has been told: it waits for a
// standby that does not exist.
import type pg from 'pg';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../src/dev/provision.ts';
import type { Stack } from '../../src/dev/stack.ts';
import { DATABASES, GATED, STEPS, type Database, type Moment, type Step } from './steps.ts';

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

/** Where so many are to arrive. */
export interface Place {
  step: Step;
  moment: Moment;
  wanted: number;
}

export interface Gates extends AsyncDisposable {
  /** Shuts every gate before its step, but that of the delete. */
  shutAll(): Promise<void>;
  openAll(): Promise<void>;
  shut(step: Step, moment: Moment): Promise<void>;
  open(step: Step, moment: Moment): Promise<void>;
  /** Resolves when so many wait at each; lets those go on meanwhile that wait at the end of another step. */
  wait(places: readonly Place[], nudge?: () => Promise<void>): Promise<void>;
  /** Ends what the server still does for a process that is dead. */
  endBackendsOf(role: string): Promise<void>;
  sql<Row extends object>(database: Database | 'postgres', text: string, values?: unknown[]): Promise<Row[]>;
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

  const nameOf = ({ step, moment }: Place): string => `gate ${moment} ${numberOf(step)}`;
  const waiting = async (place: Place): Promise<number> => {
    const text = `select count(*)::int as count from pg_stat_activity where application_name = $1 and wait_event = $2`;
    const event = place.moment === 'before' ? 'PgSleep' : 'SyncRep';
    return (await sql<{ count: number }>('postgres', text, [nameOf(place), event]))[0]?.count ?? 0;
  };
  const shut = async (step: Step, moment: Moment): Promise<void> =>
    void (await sql(step.database, 'insert into test_gates (step, moment) values ($1, $2) on conflict do nothing', [
      numberOf(step),
      moment,
    ]));

  /** Some come to the end of their commit only when another one has left it. */
  const letGoOn = (except: readonly string[]): Promise<object[]> =>
    sql(
      'postgres',
      `select pg_cancel_backend(pid) from pg_stat_activity where application_name like 'gate after%' and application_name <> all($1) and wait_event = 'SyncRep'`,
      [except],
    );

  return {
    shutAll: async () => {
      for (const step of STEPS) await shut(step, 'before');
    },
    openAll: async () => {
      for (const database of DATABASES) await sql(database, 'delete from test_gates');
      await letGoOn([]);
    },
    shut,
    open: async (step, moment) =>
      void (await sql(step.database, 'delete from test_gates where step = $1 and moment = $2', [numberOf(step), moment])),
    wait: async (places, nudge = async () => undefined) => {
      const arrived = async (): Promise<number[]> => {
        const counts: number[] = [];
        for (const place of places) counts.push(await waiting(place));
        return counts;
      };
      const areThere = (counts: readonly number[]): boolean => places.every(({ wanted }, i) => counts[i]! >= wanted);
      for (const end = Date.now() + ARRIVAL_MS; !areThere(await arrived()); await sleep(20)) {
        await letGoOn(places.map(nameOf));
        await nudge();
        if (Date.now() < end) continue;
        const seen = await sql(
          'postgres',
          `select usename, application_name, wait_event, left(query, 60) as query from pg_stat_activity where application_name like 'gate%'`,
        );
        const wanted = places.map((place) => `${place.moment} "${place.step.id}" (${place.wanted})`);
        throw new Error(`at ${wanted.join(', ')} arrived ${(await arrived()).join(', ')}: ${JSON.stringify(seen)}`);
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
