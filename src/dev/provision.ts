// Roles and databases of a stack, made if they are not there: one role and one database for each service, all owned by
// a role that no service is. No role is a member of another.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { OWNER_ROLE, SUPERUSER_ROLE } from './certificates.ts';
import { HOST, tlsFilesOf, type Stack } from './stack.ts';

/** Who may connect where, besides the owner. */
export const DATABASES: Readonly<Record<string, readonly string[]>> = { audit: ['audit'], keys: ['keys'], store: ['store', 'worker'] };
const ROLES = [OWNER_ROLE, ...new Set(Object.values(DATABASES).flat())];

/** A connection as the role of a certificate, beside the services' own. */
export const connect = async (stack: Stack, database: string, as: 'owner' | 'superuser'): Promise<pg.Client> => {
  const { certFile, keyFile, caFile } = tlsFilesOf(stack, as);
  const client = new pg.Client({
    host: HOST,
    port: stack.ports.postgres,
    database,
    user: as === 'owner' ? OWNER_ROLE : SUPERUSER_ROLE,
    ssl: { ca: readFileSync(caFile), cert: readFileSync(certFile), key: readFileSync(keyFile), minVersion: 'TLSv1.3' },
    connectionTimeoutMillis: 5_000,
  });
  client.on('error', () => undefined);
  await client.connect();
  return client;
};

const within = async (stack: Stack, database: string, work: (client: pg.Client) => Promise<void>): Promise<void> => {
  const client = await connect(stack, database, 'superuser');
  try {
    await work(client);
  } finally {
    await client.end();
  }
};

/** Whether PostgreSQL takes connections. */
export const accepts = (stack: Stack): Promise<boolean> =>
  within(stack, 'postgres', async () => undefined).then(
    () => true,
    () => false,
  );

// The names are constants of ours, so they may stand in the text.
export const provision = async (stack: Stack): Promise<void> => {
  await within(stack, 'postgres', async (client) => {
    const has = async (table: 'pg_roles' | 'pg_database', column: 'rolname' | 'datname', name: string): Promise<boolean> =>
      (await client.query(`select 1 from ${table} where ${column} = $1`, [name])).rows.length > 0;
    for (const role of ROLES) {
      if (!(await has('pg_roles', 'rolname', role))) await client.query(`create role ${role}`);
      await client.query(`alter role ${role} login nosuperuser nocreatedb nocreaterole noreplication nobypassrls`);
    }
    await client.query('revoke connect, temporary on database postgres, template1 from public');
    for (const [database, roles] of Object.entries(DATABASES)) {
      if (!(await has('pg_database', 'datname', database))) await client.query(`create database ${database} owner ${OWNER_ROLE}`);
      await client.query(`revoke all on database ${database} from public`);
      await client.query(`grant connect on database ${database} to ${roles.join(', ')}`);
    }
  });
  for (const [database, roles] of Object.entries(DATABASES)) {
    await within(stack, database, async (client) => {
      await client.query('revoke all on schema public from public');
      await client.query(`grant usage on schema public to ${roles.join(', ')}`);
    });
  }
};
