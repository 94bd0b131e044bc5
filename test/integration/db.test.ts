// The kernel's database on a real PostgreSQL: what fails, fails as what it is, and nothing stays broken.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { sqlState, type Db, type Queryable, type Transaction } from '../../src/kernel/db.ts';
import { requireSchema } from '../../src/kernel/migrate.ts';
import { scratchDatabase, type Scratch } from './scratch.ts';

let scratch: Scratch;
let db: Db;
beforeAll(async () => {
  scratch = await scratchDatabase(inject('stack'));
  db = scratch.open();
  await scratch.sql('create table t (id int primary key, n bigint not null default 0, b bytea)');
  await scratch.sql('insert into t (id) values (1), (2)');
});
afterAll(() => scratch[Symbol.asyncDispose]());

const insert = (tx: Queryable, id: number) => tx.query({ name: 't.insert', text: 'insert into t (id) values ($1)', values: [id] });
const ids = async () => (await scratch.sql<{ id: number }>('select id from t order by id')).map((row) => row.id);
const divide = (by: number) => db.read.query<{ q: number }>({ name: 'divide', text: 'select 10 / $1::int as q', values: [by] });
/** Ends the database's connections that run, or have last run, such a statement. */
const kill = (like: string) =>
  scratch.sql(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and query like $1`,
    [like],
  );

describe('reads on the one pipelined connection', () => {
  it('fail one by one: a bad statement harms none that was sent with it', async () => {
    const results = await Promise.allSettled([divide(2), divide(0), divide(5)]);
    expect(results).toMatchObject([{ value: [{ q: 5 }] }, { status: 'rejected' }, { value: [{ q: 2 }] }]);
    expect(sqlState((results[1] as PromiseRejectedResult).reason)).toBe('22012');
  });

  it('give int8 as bigint and bytea unharmed', async () => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
    const rows = await db.read.query({ name: 'types', text: 'select 9007199254740993::int8 as big, $1::bytea as bytes', values: [bytes] });
    expect(rows).toEqual([{ big: 9007199254740993n, bytes }]);
  });

  it('fail as unavailable when the connection is lost, and go on with the next call, without one connection more', async () => {
    const lost = expect(db.read.query({ name: 'sleep', text: 'select pg_sleep(5)' })).rejects.toMatchObject({
      reason: 'DATABASE_UNAVAILABLE',
      retryAfterMs: 1_000,
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await kill('%pg_sleep%');
    await lost;
    for (let i = 0; i < 5; i++) {
      await kill('select 10%');
      // The first calls may meet the lost connection; nobody has to do anything about it.
      await vi.waitFor(async () => expect((await divide(2))[0]?.q).toBe(5), 1_000);
    }
    const [row] = await scratch.sql<{ n: string }>(
      `select count(*)::text as n from pg_stat_activity where datname = current_database() and query like 'select 10%'`,
    );
    expect(row?.n).toBe('1');
  });

  it('that take too long are cut off by the database', async () => {
    await scratch.sql(`alter database ${scratch.name} set statement_timeout = '15s'`);
    const own = scratch.open();
    await expect(own.read.query({ name: 'long', text: `select set_config('statement_timeout', '100', false), 1` })).resolves.toHaveLength(
      1,
    );
    await expect(own.read.query({ name: 'sleep', text: 'select pg_sleep(5)' })).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
  });
});

describe('a transaction', () => {
  it('is committed whole, or not at all', async () => {
    await db.transaction(async (tx) => {
      await insert(tx, 10);
      await insert(tx, 11);
    });
    const failed = db.transaction(async (tx) => {
      await insert(tx, 12);
      throw new Error('no');
    });
    await expect(failed).rejects.toThrow('no');
    expect(await ids()).toEqual([1, 2, 10, 11]);
  });

  it('with a mistake of ours in it fails as that mistake, not as an absent database', async () => {
    const failed = db.transaction(async (tx) => {
      await insert(tx, 20);
      return (undefined as unknown as { x: { y: number } }).x.y;
    });
    await expect(failed).rejects.toBeInstanceOf(TypeError);
  });

  it('that finds the disk full fails as unavailable, and says what is missing', async () => {
    const text = `do $$ begin raise exception sqlstate '53100' using message = 'could not extend file'; end $$`;
    await expect(db.transaction((tx) => tx.query({ name: '', text }))).rejects.toMatchObject({
      reason: 'DATABASE_UNAVAILABLE',
      message: expect.stringContaining('the disk of the database is full') as string,
    });
  });

  it('gives a broken constraint as it is, for its caller to name, and its connection is as good as new', async () => {
    for (let i = 0; i < 10; i++) {
      const error = await db.transaction((tx) => insert(tx, 1)).catch((e: unknown) => e);
      expect(sqlState(error)).toBe('23505');
    }
    await db.transaction((tx) => insert(tx, 30));
    expect(await ids()).toContain(30);
  });

  it('fails with the error of a statement that was sent without waiting for it, and is tried again like any other', async () => {
    const send = (tx: Transaction, id: number) => tx.send({ name: 't.insert', text: 'insert into t (id) values ($1)', values: [id] });
    await db.transaction(async (tx) => {
      send(tx, 31);
      send(tx, 32);
    });
    expect(await ids()).toContain(32);
    // At the commit, or at the next statement that is waited for.
    for (const next of [async () => undefined, (tx: Transaction) => insert(tx, 34)]) {
      const failed = db.transaction(async (tx) => {
        send(tx, 33);
        send(tx, 31);
        await next(tx);
      });
      expect(sqlState(await failed.catch((error: unknown) => error))).toBe('23505');
    }
    expect(await ids()).not.toContain(33);
    let tries = 0;
    const text = `do $$ begin raise exception sqlstate '40001'; end $$`;
    await db.transaction(async (tx) => (++tries < 3 ? tx.send({ name: '', text }) : undefined));
    expect(tries).toBe(3);
  });

  it('that swallows an error of the database is not taken for committed', async () => {
    const swallowed = db.transaction(async (tx) => {
      await insert(tx, 40);
      await insert(tx, 40).catch(() => undefined);
    });
    await expect(swallowed).rejects.toThrow('not committed');
    expect(await ids()).not.toContain(40);
  });

  it('that meets another one is tried again, up to three times', async () => {
    let tries = 0;
    const raise = (state: string) => ({ name: `raise.${state}`, text: `select t_raise('${state}')` });
    await scratch.sql(
      `create function t_raise(state text) returns void language plpgsql as $$ begin raise exception using errcode = state; end $$`,
    );
    const third = await db.transaction(async (tx) => {
      tries++;
      if (tries < 3) await tx.query(raise('40001'));
      return 'done';
    });
    expect([third, tries]).toEqual(['done', 3]);
    tries = 0;
    const never = db.transaction(async (tx) => {
      tries++;
      await tx.query(raise('40P01'));
    });
    await expect(never).rejects.toMatchObject({ reason: 'CONFLICT', code: 'ABORTED' });
    expect(tries).toBe(3);
  });

  it('whose connection is lost fails as unavailable, changes nothing, and the next one works', async () => {
    const lost = db.transaction(async (tx) => {
      await insert(tx, 50);
      const slow = tx.query({ name: 'sleep', text: 'select pg_sleep(5)' });
      setTimeout(() => void kill('%pg_sleep%'), 100);
      await slow;
    });
    await expect(lost).rejects.toMatchObject({ reason: 'DATABASE_UNAVAILABLE' });
    expect(await ids()).not.toContain(50);
    await db.transaction((tx) => insert(tx, 51));
    expect(await ids()).toContain(51);
  });

  it('whose commit gets no answer does not claim that nothing was changed', async () => {
    // A trigger that runs at the commit and is then cut off.
    await scratch.sql(`create function t_slow() returns trigger language plpgsql as $$ begin perform pg_sleep(5); return null; end $$`);
    await scratch.sql(
      `create constraint trigger slow after insert on t deferrable initially deferred for each row when (new.id = 60) execute function t_slow()`,
    );
    const lost = db.transaction((tx) => insert(tx, 60));
    setTimeout(() => void kill('commit'), 200);
    await expect(lost).rejects.toMatchObject({
      reason: 'DATABASE_UNAVAILABLE',
      message: expect.stringContaining('may or may not have been made') as string,
    });
  });
});

describe('a database that is not there', () => {
  it('is unavailable for reads, transactions and pings alike, within two seconds', async () => {
    const away = await scratchDatabase(inject('stack'));
    const gone = away.open();
    await gone.ping();
    await scratch.sql(`alter database ${away.name} with allow_connections false`);
    await scratch.sql('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [away.name]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const begun = performance.now();
    const attempts = [gone.ping(), gone.read.query({ name: 'one', text: 'select 1' }), gone.transaction(async () => undefined)];
    for (const outcome of await Promise.allSettled(attempts)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { reason: 'DATABASE_UNAVAILABLE' } });
    }
    expect(performance.now() - begun).toBeLessThan(2_500);
    await scratch.sql(`alter database ${away.name} with allow_connections true`);
    await gone.ping();
    await away[Symbol.asyncDispose]();
  });
});

describe('migrations', () => {
  const files = (content: Record<string, string>): string => {
    const folder = mkdtempSync(join(tmpdir(), 'strongroom-migrations-'));
    for (const [name, text] of Object.entries(content)) writeFileSync(join(folder, name), text);
    return folder;
  };
  const first = { '0001_first.sql': 'create table one (id int); insert into one values (1);' };
  const second = { ...first, '0002_second.sql': 'create table two (id int);' };

  it('run once each, in order, also when several programs start at the same time', async () => {
    await using own = await scratchDatabase(inject('stack'));
    const [a, b] = [files(first), files(second)];
    await Promise.all([own.migrate(a), own.migrate(a), own.migrate(a)]);
    expect(await own.sql('select id from one')).toEqual([{ id: 1 }]);
    await expect(requireSchema(own.open(), b)).rejects.toThrow(/older than this program; run the migrations/);
    await own.migrate(b);
    await requireSchema(own.open(), b);
    await expect(requireSchema(own.open(), a)).rejects.toThrow(/newer than this program/);
    await expect(own.migrate(a)).rejects.toThrow(/newer than this program/);
    for (const folder of [a, b]) rmSync(folder, { recursive: true });
  });

  it('that were changed after they had run are refused, and one that fails leaves nothing behind', async () => {
    await using own = await scratchDatabase(inject('stack'));
    const good = files(first);
    const changed = files({ '0001_first.sql': 'create table another (id int);' });
    const broken = files({ ...first, '0002_second.sql': 'create table two (id int); select 1 / 0;' });
    await own.migrate(good);
    await expect(own.migrate(changed)).rejects.toThrow(/0001_first.sql was changed/);
    await expect(own.migrate(broken)).rejects.toThrow(/division by zero/);
    expect(await own.sql(`select to_regclass('two') as two`)).toEqual([{ two: null }]);
    await requireSchema(own.open(), good);
    for (const folder of [good, changed, broken]) rmSync(folder, { recursive: true });
  });
});
