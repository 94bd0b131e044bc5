// SQL dumps of a database's content: a script that psql takes too, of `COPY … FROM stdin` for every table, as pg_dump
// writes it with --data-only. The schema comes from the migrations.
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import type pg from 'pg';
import { migrateFileOf } from '../configs.ts';
import { connect, provision } from '../provision.ts';
import { MAIN, type Service, type Stack } from '../stack.ts';

export const DATABASES = ['store', 'keys', 'audit'] as const;
export type Database = (typeof DATABASES)[number];

/** Whose migrations make its schema. */
const SCHEMA_OF: Readonly<Record<Database, readonly Service[]>> = { store: ['store', 'worker'], keys: ['keys'], audit: ['audit'] };

interface Wire {
  query(text: string): void;
  sendCopyFromChunk(chunk: Buffer): void;
  endCopyFrom(): void;
  sendCopyFail(message: string): void;
}

/** One COPY statement in the shape in which the driver takes what it has no query of its own for. */
const copy = (client: pg.Client, text: string, input?: Buffer): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const nothing = (): void => undefined;
    client.query({
      submit: (wire: Wire) => wire.query(text),
      handleCopyInResponse: (wire: Wire) => {
        if (!input) return wire.sendCopyFail('there is nothing to copy');
        wire.sendCopyFromChunk(input);
        wire.endCopyFrom();
      },
      handleCopyData: ({ chunk }: { chunk: Buffer }) => void chunks.push(Buffer.from(chunk)),
      handleError: reject,
      handleReadyForQuery: () => resolve(Buffer.concat(chunks)),
      handleRowDescription: nothing,
      handleDataRow: nothing,
      handlePortalSuspended: nothing,
      handleEmptyQuery: nothing,
      handleCommandComplete: nothing,
    } as unknown as pg.Submittable);
  });

const TABLES = `select format('%I.%I', n.nspname, c.relname) as name,
    (select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute
      where attrelid = c.oid and attnum > 0 and not attisdropped and attgenerated = '') as columns
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema') order by 1`;
const SEQUENCES = `select format('%I.%I', schemaname, sequencename) as name, last_value::text as value from pg_sequences order by 1`;

/** All tables as they were at one moment. */
export const takeDump = async (stack: Stack, database: Database, file: string): Promise<void> => {
  const client = await connect(stack, database, 'superuser');
  try {
    await client.query('begin isolation level repeatable read read only');
    const tables = (await client.query<{ name: string; columns: string }>(TABLES)).rows;
    const sequences = (await client.query<{ name: string; value: string | null }>(SEQUENCES)).rows;
    const parts: Buffer[] = [Buffer.from('set session_replication_role = replica;\n')];
    parts.push(Buffer.from(`truncate ${tables.map(({ name }) => name).join(', ')};\n`));
    for (const { name, columns } of tables) {
      const rows = await copy(client, `copy ${name} (${columns}) to stdout`);
      parts.push(Buffer.from(`copy ${name} (${columns}) from stdin;\n`), rows, Buffer.from('\\.\n'));
    }
    for (const { name, value } of sequences) if (value !== null) parts.push(Buffer.from(`select setval('${name}', ${value});\n`));
    await client.query('commit');
    writeFileSync(file, Buffer.concat(parts), { mode: 0o600 });
  } finally {
    await client.end();
  }
};

const load = async (client: pg.Client, script: Buffer): Promise<void> => {
  await client.query('begin');
  for (let at = 0; at < script.length;) {
    const end = script.indexOf('\n', at);
    const line = script.toString('utf8', at, end);
    at = end + 1;
    if (!line.startsWith('copy ')) {
      await client.query(line);
      continue;
    }
    // In the text format of COPY no row is this line.
    const mark = script.subarray(at, at + 3).equals(Buffer.from('\\.\n')) ? at : script.indexOf('\n\\.\n', at) + 1;
    await copy(client, line, script.subarray(at, mark));
    at = mark + 3;
  }
  await client.query('commit');
};

/** In place of what the database holds now; its services must be stopped. */
export const restoreDump = async (stack: Stack, database: Database, file: string): Promise<void> => {
  const server = await connect(stack, 'postgres', 'superuser');
  await server.query(`drop database if exists ${database} with (force)`);
  await server.end();
  await provision(stack);
  for (const service of SCHEMA_OF[database])
    await promisify(execFile)(process.execPath, [MAIN, 'migrate', service, migrateFileOf(stack, service)]);
  const client = await connect(stack, database, 'superuser');
  try {
    await load(client, readFileSync(file));
  } finally {
    await client.end();
  }
};
