// Starts and stops a whole stack. Starting is idempotent: what runs from today's files stays, what has died or was
// started from other files is started, in the order in which the parts need each other.
import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ensureCertificates } from './certificates.ts';
import { isServing } from './clients.ts';
import { configFileOf, migrateFileOf, writeConfigs } from './configs.ts';
import { digestOf, digestOfFiles, digestOfTree, readIfThere, writeFile } from './files.ts';
import { assertFree } from './ports.ts';
import { dataFolderOf, removeData } from './postgres-place.ts';
import { knownPostgres, openPostgres, startPostgres } from './postgres.ts';
import { isCurrent, launch, markCurrent, pidOf, stop, waitFor, type Known, type Program } from './processes.ts';
import {
  addressOf,
  HOST,
  MAIN,
  PARTS,
  ROOT,
  SERVICES,
  silent,
  tlsFilesOf,
  type Part,
  type Say,
  type Service,
  type Stack,
} from './stack.ts';

const known = (stack: Stack, name: Part): Known =>
  name === 'postgres'
    ? knownPostgres(stack)
    : { name, state: stack.state, args: [MAIN, name, configFileOf(stack, name)], signal: 'SIGTERM' };

/** Of all the code that a service may run: other code is another start. */
const digestOfCode = (): string =>
  digestOf(
    readFileSync(join(ROOT, 'package-lock.json')),
    digestOfTree(join(ROOT, 'src'), (path) => /\.(ts|sql|binpb)$/.test(path) && !/^dev\b/.test(path)),
  );

const programOf = (stack: Stack, service: Service, code: string): Program => ({
  ...known(stack, service),
  command: process.execPath,
  stamp: digestOf(code, digestOfFiles([configFileOf(stack, service), ...Object.values(tlsFilesOf(stack, service))])),
});

const healthy = (stack: Stack, service: Service, program: Program, seconds: number): Promise<void> =>
  waitFor(program, seconds, () => isServing(stack, service));

const migrate = (stack: Stack, service: Service): Promise<unknown> =>
  promisify(execFile)(process.execPath, [MAIN, 'migrate', service, migrateFileOf(stack, service)]).catch(
    ({ stderr }: { stderr: string }) => {
      throw new Error(
        `the database schema of ${service} could not be made: ${stderr.trim().split('\n').at(-1)}; to start over without the data: make reset up`,
      );
    },
  );

/** The schema of every service, if the code is another than when this was last done to this data. */
const migrateAll = async (stack: Stack, code: string, say: Say): Promise<void> => {
  const file = join(dataFolderOf(stack), 'strongroom.migrated');
  if (readIfThere(file) === code) return;
  await Promise.all(SERVICES.map((service) => migrate(stack, service)));
  writeFile(file, code);
  say(`✓ database schemas of ${SERVICES.join(', ')}`);
};

/** Does it, and says how long it took. */
const timed = async (what: string, say: Say, work: () => Promise<void>): Promise<void> => {
  const start = performance.now();
  await work();
  say(`✓ ${what} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
};

/** Answers whether anything had to be started. */
export const up = async (stack: Stack, say: Say = silent): Promise<boolean> => {
  mkdirSync(stack.state, { recursive: true });
  // PostgreSQL may run as another user, who has to get to its folder.
  chmodSync(stack.state, 0o755);
  const made = await ensureCertificates(stack.certs);
  if (made > 0) say(`✓ certificates (${made} made)`);
  writeConfigs(stack);

  const code = digestOfCode();
  const server = openPostgres(stack, say);
  const programs = SERVICES.map((service) => ({ service, program: programOf(stack, service, code) }));
  const missing = [server, ...programs.map(({ program }) => program)].filter((program) => !isCurrent(program));
  for (const program of missing.toReversed()) await stop(program);
  await assertFree(
    missing.map(({ name }) => ({ name, port: stack.ports[name] })),
    stack.ports.base,
    HOST,
  );

  let started = missing.length > 0;
  if (missing.includes(server)) await timed(`PostgreSQL on ${addressOf(stack, 'postgres')}`, say, () => startPostgres(stack, server));
  await migrateAll(stack, code, say);
  for (const { service, program } of programs) {
    const runs = !missing.includes(program);
    if (
      runs &&
      (await healthy(stack, service, program, 15).then(
        () => true,
        () => false,
      ))
    )
      continue;
    if (runs) await stop(program);
    started = true;
    await timed(`${service} on ${addressOf(stack, service)}`, say, async () => {
      launch(program);
      await healthy(stack, service, program, 30);
      markCurrent(program);
    });
  }
  return started;
};

/** Answers whether it ran. */
export const stopPart = (stack: Stack, part: Part, signal?: NodeJS.Signals): Promise<boolean> => stop(known(stack, part), signal);

export const down = async (stack: Stack, say: Say = silent): Promise<void> => {
  for (const part of PARTS.toReversed()) if (await stopPart(stack, part)) say(`✓ ${part} stopped`);
};

/** Stops, and removes all data and keys; the certificates stay. */
export const reset = async (stack: Stack, say: Say = silent): Promise<void> => {
  await down(stack, say);
  removeData(stack);
  rmSync(stack.state, { recursive: true, force: true });
};

export interface Status {
  part: Part;
  pid: number | undefined;
  state: 'stopped' | 'running' | 'SERVING' | 'NOT_SERVING';
}

export const status = (stack: Stack): Promise<Status[]> =>
  Promise.all(
    PARTS.map(async (part) => {
      const pid = pidOf(known(stack, part));
      if (pid === undefined) return { part, pid, state: 'stopped' };
      if (part === 'postgres') return { part, pid, state: 'running' };
      return { part, pid, state: (await isServing(stack, part)) ? 'SERVING' : 'NOT_SERVING' };
    }),
  );
