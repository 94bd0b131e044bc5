// Embedded PostgreSQL: the programs of an npm package, run as a process of their own. Mutual TLS only, on loopback only;
// every role logs in with its certificate and may connect to its own database only.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { OWNER_ROLE, SUPERUSER_ROLE } from './certificates.ts';
import { digestOf, readIfThere, writeFile } from './files.ts';
import { dataFolderOf, give, placeOf, type Place } from './postgres-place.ts';
import { commandLineOf, isCurrent, launch, markCurrent, pidOf, stop, waitFor, type Program } from './processes.ts';
import { accepts, DATABASES, provision } from './provision.ts';
import { HOST, tlsFilesOf, type Stack } from './stack.ts';

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

const accessRules = (): string =>
  [
    '# Written at every start.',
    ...Object.entries(DATABASES).map(([database, roles]) => `${database} ${[OWNER_ROLE, ...roles].join(',')}`),
    `all ${SUPERUSER_ROLE}`,
  ]
    .map((line) => (line.startsWith('#') ? line : `hostssl ${line} ${HOST}/32 cert clientcert=verify-full`))
    .join('\n')
    .concat('\n');

/** The files PostgreSQL reads at its start; its key must be its own user's. */
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

const refOf = (stack: Stack) => ({ name: 'postgres', state: stack.state, args: ['-D', dataFolderOf(stack)], logsErrors: true });

export const postgresPid = (stack: Stack): number | undefined => pidOf(refOf(stack));
/** SIGINT is its fast shutdown. */
export const stopPostgres = (stack: Stack, signal: NodeJS.Signals = 'SIGINT'): Promise<boolean> => stop(refOf(stack), signal, 60);

const programOf = (stack: Stack, { programs, account }: Place): Program => ({
  ...refOf(stack),
  command: join(programs, 'postgres'),
  stamp: digestOf(...Object.values(filesOf(stack)), JSON.stringify(DATABASES)),
  account,
});

/** Whole or not at all: made beside its place and moved there. */
const initialise = ({ programs, data, account }: Place): void => {
  const fresh = `${data}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  give(fresh, account);
  const flags = ['-U', SUPERUSER_ROLE, '--encoding=UTF8', '--locale=C', '--data-checksums', '--auth=reject', '--no-instructions'];
  const { status, stderr, error } = spawnSync(join(programs, 'initdb'), ['-D', fresh, ...flags], {
    ...account,
    cwd: '/',
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] },
  });
  if (status !== 0) throw new Error(`PostgreSQL could not make its data directory: ${error?.message ?? stderr.trim()}`);
  renameSync(fresh, data);
};

/** After a kill -9 its lock names a pid that another program may have by now; only a running server's lock counts. */
const dropStaleLock = ({ data }: Place): void => {
  const lock = join(data, 'postmaster.pid');
  const pid = Number((readIfThere(lock) ?? '').split('\n')[0]);
  if (pid > 0 && !commandLineOf(pid).includes(data)) rmSync(lock, { force: true });
};

export interface Postgres {
  isCurrent(): boolean;
  /** Answers when it takes connections, with its roles and databases in place. */
  start(): Promise<void>;
}

export const openPostgres = (stack: Stack, say: (line: string) => void = () => undefined): Postgres => {
  const place = placeOf(stack, say);
  const program = programOf(stack, place);
  const start = async (): Promise<void> => {
    if (!existsSync(place.data)) initialise(place);
    for (const [name, content] of Object.entries(filesOf(stack))) {
      const file = join(place.data, name);
      writeFile(file, content, 0o600);
      give(file, place.account);
    }
    dropStaleLock(place);
    launch(program);
    await waitFor(program, 60, () => accepts(stack));
    await provision(stack);
    markCurrent(program);
  };
  return {
    isCurrent: () => isCurrent(program),
    start: async () => {
      // Of a server that was killed, processes may live on for a moment and hold its memory.
      for (let tries = 1; ; tries++) {
        try {
          return await start();
        } catch (error) {
          if (tries === 5 || pidOf(program) !== undefined || !existsSync(join(place.data, 'PG_VERSION'))) throw error;
        }
      }
    },
  };
};
