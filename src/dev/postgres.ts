// Embedded PostgreSQL: the programs of an npm package, run as a process of their own. Mutual TLS only, on loopback only;
// every role logs in with its certificate and may connect to its own database only.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { OWNER_ROLE, SUPERUSER_ROLE } from './certificates.ts';
import { digestOf, readIfThere, writeFile } from './files.ts';
import { dataFolderOf, give, placeOf, type Place } from './postgres-place.ts';
import { commandLineOf, launch, markCurrent, pidOf, waitFor, type Known, type Program } from './processes.ts';
import { accepts, DATABASES, provision } from './provision.ts';
import { HOST, tlsFilesOf, type Say, type Stack } from './stack.ts';

const settings = (stack: Stack): string => `# Written at every start.
listen_addresses = '${HOST}'
port = ${stack.ports.postgres}
unix_socket_directories = ''
max_connections = 200
ssl = on
ssl_cert_file = 'server.crt'
ssl_key_file = 'server.key'
ssl_ca_file = 'clients.crt'
ssl_min_protocol_version = 'TLSv1.3'
max_wal_size = 4GB
# Values never stand in the log: statements have parameters, and parameters are not written.
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_line_prefix = '%m [%p] %u@%d '
`;

const accessRules = (): string => {
  const rule = (databases: string, roles: readonly string[]) =>
    `hostssl ${databases} ${roles.join(',')} ${HOST}/32 cert clientcert=verify-full\n`;
  const rules = Object.entries(DATABASES).map(([database, roles]) => rule(database, [OWNER_ROLE, ...roles]));
  return ['# Written at every start.\n', ...rules, rule('all', [SUPERUSER_ROLE])].join('');
};

/** The files PostgreSQL reads at its start. */
const filesOf = (stack: Stack): Record<string, string> => {
  const { certFile, keyFile, caFile } = tlsFilesOf(stack, 'postgres');
  return {
    'postgresql.conf': settings(stack),
    'pg_hba.conf': accessRules(),
    'server.crt': readFileSync(certFile, 'utf8'),
    'server.key': readFileSync(keyFile, 'utf8'),
    'clients.crt': readFileSync(caFile, 'utf8'),
  };
};

/** SIGINT is its fast shutdown. */
export const knownPostgres = (stack: Stack): Known => ({
  name: 'postgres',
  state: stack.state,
  args: ['-D', dataFolderOf(stack)],
  signal: 'SIGINT',
});

export interface Server extends Program {
  place: Place;
}

export const openPostgres = (stack: Stack, say: Say): Server => {
  const place = placeOf(stack, say);
  return {
    ...knownPostgres(stack),
    place,
    command: join(place.programs, 'postgres'),
    account: place.account,
    stamp: digestOf(...Object.values(filesOf(stack)), JSON.stringify(DATABASES)),
  };
};

/** Whole or not at all: made beside its place and moved there. */
const initialise = ({ programs, data, account }: Place): void => {
  const fresh = `${data}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  give(fresh, account);
  const flags = ['-U', SUPERUSER_ROLE, '--encoding=UTF8', '--locale=C', '--data-checksums', '--auth=reject', '--no-instructions'];
  const env = { PATH: process.env['PATH'] };
  const made = spawnSync(join(programs, 'initdb'), ['-D', fresh, ...flags], { ...account, cwd: '/', encoding: 'utf8', env });
  if (made.status !== 0) throw new Error(`PostgreSQL could not make its data directory: ${made.error?.message ?? made.stderr.trim()}`);
  renameSync(fresh, data);
};

/** After a kill -9 its lock names a pid that another program may have by now; only a running server's lock counts. */
const dropStaleLock = ({ data }: Place): void => {
  const lock = join(data, 'postmaster.pid');
  const pid = Number((readIfThere(lock) ?? '').split('\n')[0]);
  if (pid > 0 && !commandLineOf(pid).includes(data)) rmSync(lock, { force: true });
};

/** Resolves when it takes connections, with its roles and databases in place. */
export const startPostgres = async (stack: Stack, server: Server): Promise<void> => {
  const { place } = server;
  if (!existsSync(place.data)) initialise(place);
  for (const [name, content] of Object.entries(filesOf(stack))) {
    const file = join(place.data, name);
    writeFile(file, content, 0o600);
    // Its key must be its own user's.
    give(file, place.account);
  }
  for (let tries = 1; ; tries++) {
    dropStaleLock(place);
    launch(server);
    try {
      await waitFor(server, 60, () => accepts(stack));
      break;
    } catch (error) {
      // Of a server that was killed, processes may live on for a moment and hold its memory.
      if (tries === 5 || pidOf(server) !== undefined) throw error;
      await sleep(300);
    }
  }
  await provision(stack);
  markCurrent(server);
};
