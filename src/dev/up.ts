// Starts and stops a whole stack. Starting is idempotent: what runs from today's files stays, what has died or was
// started from other files is started, in the order in which the parts need each other.
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ensureCertificates } from './certificates.ts';
import { openHealthProbe } from './clients.ts';
import { configFileOf, migrateFileOf, writeConfigs } from './configs.ts';
import { digestOf, digestOfFiles, digestOfTree, readIfThere, writeFile } from './files.ts';
import { assertFree } from './ports.ts';
import { dataFolderOf } from './postgres-place.ts';
import { openPostgres, postgresPid, stopPostgres } from './postgres.ts';
import { isCurrent, launch, markCurrent, pidOf, stop, waitFor, type Program } from './processes.ts';
import { addressOf, HOST, ROOT, SERVICES, tlsFilesOf, type Service, type Stack } from './stack.ts';

export type Say = (line: string) => void;
const silent: Say = () => undefined;

const MAIN = join(ROOT, 'src/main.ts');

/** Of the program that the services are: another one is another start. */
const digestOfProgram = (): string => digestOfTree(join(ROOT, 'src'), (path) => /\.(ts|sql|binpb)$/.test(path) && !/^dev\b/.test(path));

const serviceProgram = (stack: Stack, service: Service, program = ''): Program => ({
  name: service,
  state: stack.state,
  command: process.execPath,
  args: [MAIN, service, configFileOf(stack, service)],
  stamp: program && digestOf(program, digestOfFiles([configFileOf(stack, service), ...Object.values(tlsFilesOf(stack, service))])),
});

const startService = async (stack: Stack, program: Program, service: Service): Promise<void> => {
  launch(program);
  await using probe = openHealthProbe(stack, service);
  await waitFor(program, 30, probe.isServing);
  markCurrent(program);
};

const isHealthy = async (stack: Stack, program: Program, service: Service): Promise<boolean> => {
  await using probe = openHealthProbe(stack, service);
  return waitFor(program, 5, probe.isServing).then(
    () => true,
    () => false,
  );
};

const migrate = (stack: Stack, service: Service): void => {
  const { status, stderr } = spawnSync(process.execPath, [MAIN, 'migrate', service, migrateFileOf(stack, service)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`the database schema of ${service} could not be made: ${stderr.trim().split('\n').at(-1)}`);
};

/** The schema of every service, if the program is another than when this was last done to this data. */
const migrateAll = (stack: Stack, program: string, say: Say): void => {
  const file = join(dataFolderOf(stack), 'strongroom.migrated');
  if (readIfThere(file) === program) return;
  for (const service of SERVICES) migrate(stack, service);
  writeFile(file, program);
  say(`✓ database schemas of ${SERVICES.join(', ')}`);
};

const timer = () => {
  const start = performance.now();
  return () => `${((performance.now() - start) / 1000).toFixed(1)} s`;
};

/** Answers whether anything had to be started. */
export const up = async (stack: Stack, say: Say = silent): Promise<boolean> => {
  mkdirSync(stack.state, { recursive: true });
  // PostgreSQL may run as another user, who has to get to its folder.
  chmodSync(stack.state, 0o755);
  const made = await ensureCertificates(stack.certs);
  if (made > 0) say(`✓ ${made} certificates`);
  writeConfigs(stack);

  const digest = digestOfProgram();
  const postgres = openPostgres(stack, say);
  const programs = SERVICES.map((service) => ({ service, program: serviceProgram(stack, service, digest) }));
  for (const { program } of programs.toReversed()) if (!isCurrent(program)) await stop(program, 'SIGTERM');
  const startPostgres = !postgres.isCurrent();
  if (startPostgres) await stopPostgres(stack);
  const wanted = [{ name: 'postgres' as const }, ...SERVICES.map((name) => ({ name }))]
    .filter(({ name }) => (name === 'postgres' ? startPostgres : !programs.some((p) => p.service === name && isCurrent(p.program))))
    .map(({ name }) => ({ name, port: stack.ports[name] }));
  await assertFree(wanted, stack.ports.base, HOST);

  if (startPostgres) {
    const time = timer();
    await postgres.start();
    say(`✓ PostgreSQL on ${HOST}:${stack.ports.postgres} (${time()})`);
  }
  migrateAll(stack, digest, say);
  let started = startPostgres;
  for (const { service, program } of programs) {
    if (isCurrent(program)) {
      if (await isHealthy(stack, program, service)) continue;
      await stop(program, 'SIGTERM');
    }
    const time = timer();
    await startService(stack, program, service);
    say(`✓ ${service} on ${addressOf(stack, service)} (${time()})`);
    started = true;
  }
  return started;
};

export const stopService = (stack: Stack, service: Service, signal: NodeJS.Signals = 'SIGTERM'): Promise<boolean> =>
  stop(serviceProgram(stack, service), signal);

export const down = async (stack: Stack, say: Say = silent): Promise<void> => {
  for (const service of SERVICES.toReversed()) if (await stopService(stack, service)) say(`✓ ${service} stopped`);
  if (await stopPostgres(stack)) say('✓ PostgreSQL stopped');
};

/** Stops, and removes all data and keys; the certificates stay. */
export const reset = async (stack: Stack, say: Say = silent): Promise<void> => {
  await down(stack, say);
  rmSync(dataFolderOf(stack), { recursive: true, force: true });
  rmSync(stack.state, { recursive: true, force: true });
};

/** What runs and how it is. */
export const status = async (stack: Stack): Promise<{ name: string; address: string; pid: number | undefined; state: string }[]> => {
  const services = await Promise.all(
    SERVICES.map(async (service) => {
      const pid = pidOf(serviceProgram(stack, service));
      if (pid === undefined) return { name: service, address: addressOf(stack, service), pid, state: 'stopped' };
      await using probe = openHealthProbe(stack, service);
      return { name: service, address: addressOf(stack, service), pid, state: (await probe.isServing()) ? 'SERVING' : 'NOT_SERVING' };
    }),
  );
  const pid = postgresPid(stack);
  return [
    { name: 'postgres', address: `${HOST}:${stack.ports.postgres}`, pid, state: pid === undefined ? 'stopped' : 'running' },
    ...services,
  ];
};
