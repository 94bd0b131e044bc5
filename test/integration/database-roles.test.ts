// What each service may do in PostgreSQL, tried with its own certificate: what a stolen one is good for, past the service.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { describe, expect, inject, it } from 'vitest';
import { HOST, tlsFilesOf } from '../../src/dev/stack.ts';
import { withDatabase } from '../support/stack.ts';

const stack = inject('stack');
interface Login {
  role: string;
  database: string;
  /** Whose certificate; the role's own if not given, none if null. */
  certificate?: string | null;
  ssl?: boolean;
}

const within = async <T>(
  { role, database, certificate = role, ssl = true }: Login,
  work: (client: pg.Client) => Promise<T>,
): Promise<T> => {
  const { certFile, keyFile } = tlsFilesOf(stack, certificate ?? role);
  const pair = certificate === null ? {} : { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  const client = new pg.Client({
    host: HOST,
    port: stack.ports.postgres,
    database,
    user: role,
    password: role,
    ssl: ssl && { ca: readFileSync(tlsFilesOf(stack, 'ca').certFile), ...pair },
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
};
const outcome = (login: Login, statement = 'select 1'): Promise<string> =>
  within(login, (client) => client.query(statement)).then(
    () => 'done',
    (error: unknown) =>
      error instanceof pg.DatabaseError ? (error.code ?? 'no code') : `refused (${error instanceof Error ? error.message : ''})`,
  );
const NOT_ALLOWED = '42501';
const NO_LOGIN = /^(28000|refused .*)$/;

describe('a role', () => {
  it.each([
    ['store', ['store']],
    ['worker', ['store']],
    ['keys', ['keys']],
    ['audit', ['audit']],
  ])('%s connects to %j and to no other database', async (role, allowed) => {
    for (const database of ['store', 'keys', 'audit', 'postgres', 'template1']) {
      const found = await outcome({ role, database });
      if (allowed.includes(database)) expect(found, database).toBe('done');
      else expect(found, database).toMatch(/^(28000|42501)$/);
    }
  });

  it.each(['store', 'worker', 'keys', 'audit', 'strongroom_owner', 'postgres'])(
    '%s lets nobody in but with its own certificate over TLS',
    async (role) => {
      const database = role === 'worker' || role === 'strongroom_owner' || role === 'postgres' ? 'store' : role;
      for (const certificate of ['app', 'operator', role === 'store' ? 'keys' : 'store'])
        expect(await outcome({ role, database, certificate }), certificate).toMatch(NO_LOGIN);
      expect(await outcome({ role, database, certificate: null })).toMatch(NO_LOGIN);
      expect(await outcome({ role, database, ssl: false })).toMatch(NO_LOGIN);
    },
  );

  it('is no superuser, makes no roles or databases, and is a member of nothing', async () => {
    await withDatabase(
      stack,
      'store',
      async (superuser) => {
        const { rows } = await superuser.query(
          `select rolname from pg_roles where rolname in ('store', 'keys', 'audit', 'worker', 'strongroom_owner')
            and not (rolsuper or rolcreatedb or rolcreaterole or rolreplication or rolbypassrls)`,
        );
        expect(rows).toHaveLength(5);
        const members = await superuser.query(
          `select 1 from pg_auth_members m join pg_roles r on r.oid = m.member where r.rolname !~ '^pg_' and r.rolname <> 'postgres'`,
        );
        expect(members.rows).toEqual([]);
      },
      'superuser',
    );
  });

  it.each(['store', 'worker', 'keys', 'audit'])('%s makes no tables and becomes nobody else', async (role) => {
    const database = role === 'worker' ? 'store' : role;
    for (const statement of [
      'create table mine (a int)',
      'create temporary table mine (a int)',
      'create function f() returns int language sql as $$ select 1 $$',
      'create schema mine',
      'set role strongroom_owner',
      'set session authorization postgres',
      `copy (select 1) to program 'true'`,
      `select pg_read_file('server.key')`,
    ])
      expect(await outcome({ role, database }, statement), statement).toBe(NOT_ALLOWED);
  });
});

const refusesAll = async (login: Login, statements: readonly string[]): Promise<void> => {
  for (const statement of statements) expect(await outcome(login, statement), statement).toBe(NOT_ALLOWED);
};

describe('the store', () => {
  const login = { role: 'store', database: 'store' };
  const tenants = ['instances', 'secret_groups', 'secrets', 'secret_versions'];

  it('cannot remove what belongs to a tenant', () =>
    refusesAll(login, [
      ...tenants.map((table) => `delete from ${table}`),
      ...tenants.map((table) => `truncate ${table} cascade`),
      'drop table secrets',
    ]));

  it('cannot see or change the job queue, but through functions of the owner', () =>
    refusesAll(login, [
      'select * from graphile_worker.jobs',
      'select * from graphile_worker._private_jobs',
      `select graphile_worker.add_job('purge', '{}')`,
      `select graphile_worker.remove_job('purge:x')`,
    ]));

  it('cannot make a purge look begun or done, or change what it has counted', () =>
    refusesAll(login, [`update purges set state = 'DONE'`, 'delete from purges', `insert into purges default values`]));

  it('cannot change what it has told the audit log', () => refusesAll(login, [`update outbox set event = ''`]));
});

describe('the worker', () => {
  const login = { role: 'worker', database: 'store' };

  it('cannot read a payload, the key around it, or anything that a person has written', () =>
    refusesAll(login, [
      'select sealed from secret_versions',
      'select wrapped_dek from secret_versions',
      'select crc32c from secret_versions',
      'select * from secret_versions',
      'select length(sealed) from secret_versions',
      `update secret_versions set state = 'DESTROYED' returning sealed`,
      'select description from secrets',
      'select labels from secrets',
      'select annotations from secrets',
      'select display_name from instances',
      'select response from idempotency',
      'select event from outbox',
    ]));

  it('cannot make or change what is not its purge', () =>
    refusesAll(login, [
      `insert into bindings (principal, scope, role) values ('x', 'system', 'MANAGER')`,
      `update bindings set role = 'MANAGER'`,
      'update instances set retention_seconds = 1',
      'update secrets set group_uid = gen_random_uuid()',
      'update secret_versions set crc32c = 0',
      'insert into purges default values',
      'delete from purges',
      'delete from outbox',
      'select unschedule_purge(gen_random_uuid())',
      'delete from holds',
      'select reason from holds',
      'select release_held(gen_random_uuid(), null, null)',
      'select expedite_purge(gen_random_uuid())',
    ]));
});

describe('the key service', () => {
  it('cannot remove a key’s record', () =>
    refusesAll({ role: 'keys', database: 'keys' }, [
      'delete from root_keys',
      'delete from root_key_versions',
      'delete from scopes',
      'delete from master_keys',
      'delete from destructions_confirmed',
      'truncate scopes',
      `update outbox set event = ''`,
    ]));
});

describe('the audit log', () => {
  it('cannot change or remove an entry, a tile or a checkpoint, nor make room in the log', () =>
    refusesAll(
      { role: 'audit', database: 'audit' },
      ['entries', 'tiles', 'checkpoints']
        .flatMap((table) => [
          `delete from ${table}`,
          `truncate ${table}`,
          `update ${table} set ${{ entries: 'leaf', tiles: 'hashes', checkpoints: 'root' }[table]} = ''`,
        ])
        .concat('delete from log_state', 'insert into log_state default values'),
    ));

  it('cannot remove a part of the log, or make it look as if one was removed', () =>
    refusesAll({ role: 'audit', database: 'audit' }, [
      'drop table entries_0',
      'truncate entries_0',
      'delete from entries_0',
      'alter table entries detach partition entries_0',
      'select drop_range(0)',
      'delete from ranges',
      'update ranges set prune_time = now()',
      'update keeping set range_size = 256',
    ]));

  it('can erase a private field and cannot change one, nor forget the id of an event that may be sent again', async () => {
    const login = { role: 'audit', database: 'audit' };
    await refusesAll(login, [`update private_fields set value = ''`, 'truncate private_fields', 'delete from event_ids']);
    expect(await outcome(login, 'delete from private_fields where index = -1')).toBe('done');
  });
});
