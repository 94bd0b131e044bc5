// The stacks of a drill: in a folder and on ports of their own, one at a time, all gone at the end. Each has the same
// certificates and today's keys: the master keys, the log's signing key and the key of tokens.
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isServing } from '../clients.ts';
import { configFileOf, writeConfigs } from '../configs.ts';
import { isFree } from '../ports.ts';
import { placeOf } from '../postgres-place.ts';
import { openPostgres, startPostgres } from '../postgres.ts';
import { launch, waitFor, type Program } from '../processes.ts';
import { HOST, ROOT, SERVICES, silent, stackAt, type Service, type Stack } from '../stack.ts';
import { down, reset, up } from '../up.ts';

export const MAIN = join(ROOT, 'src/main.ts');
const KEY_FILES = ['audit-signing.key', 'token.key'];
/** The folder of master keys. */
const MASTER_KEYS = 'master-keys';
const START_SECONDS = 30;

const freeBase = async (): Promise<number> => {
  for (;;) {
    const base = 10_000 + Math.floor(Math.random() * 2_000) * 10;
    const { base: _, ...ports } = stackAt('', '', base).ports;
    const free = await Promise.all(Object.values(ports).map((port) => isFree(port, HOST)));
    if (!free.includes(false)) return base;
  }
};

export interface Scratch extends AsyncDisposable {
  readonly folder: string;
  /** The stack that the data is made in, running. */
  readonly live: Stack;
  /** Another one of that name, with today's keys and nothing else, not running; for the time in which the live one is stopped. */
  another(name: string): Stack;
  /** Stops it and removes its data. */
  remove(stack: Stack): Promise<void>;
}

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** Stops what runs below the folder, and removes it. */
const wipe = async (folder: string): Promise<void> => {
  const names = readdirSync(folder).filter((name) => name !== 'certs' && statSync(join(folder, name)).isDirectory());
  for (const name of names) await reset(stackAt(join(folder, name), join(folder, 'certs'), 0));
  rmSync(folder, { recursive: true, force: true });
};

/** What a drill that was killed has left behind. */
const wipeAbandoned = async (): Promise<void> => {
  for (const name of readdirSync(tmpdir())) {
    const pid = Number(/^strongroom-drill-(\d+)-/.exec(name)?.[1]);
    if (!pid || isRunning(pid) || statSync(join(tmpdir(), name)).uid !== process.getuid?.()) continue;
    await wipe(join(tmpdir(), name));
  }
};

export const openScratch = async (): Promise<Scratch> => {
  await wipeAbandoned();
  const folder = mkdtempSync(join(tmpdir(), `strongroom-drill-${process.pid}-`));
  // PostgreSQL may run as another user, who has to get to its folder.
  chmodSync(folder, 0o755);
  const base = await freeBase();
  const stackIn = (name: string) => stackAt(join(folder, name), join(folder, 'certs'), base);
  const live = stackIn('live');
  try {
    await up(live);
  } catch (error) {
    await wipe(folder);
    throw error;
  }
  return {
    folder,
    live,
    another: (name) => {
      const stack = stackIn(name);
      mkdirSync(stack.state);
      for (const file of KEY_FILES) copyFileSync(join(live.state, file), join(stack.state, file));
      cpSync(join(live.state, MASTER_KEYS), join(stack.state, MASTER_KEYS), { recursive: true });
      chmodSync(join(stack.state, MASTER_KEYS), 0o700);
      writeConfigs(stack);
      return stack;
    },
    remove: reset,
    [Symbol.asyncDispose]: () => wipe(folder),
  };
};

export const startDatabase = (stack: Stack): Promise<void> => startPostgres(stack, openPostgres(stack, silent));

/** Undefined if it runs; else why it refuses to. */
export const startService = async (stack: Stack, service: Service): Promise<string | undefined> => {
  const args = [MAIN, service, configFileOf(stack, service)];
  const program: Program = { name: service, state: stack.state, command: process.execPath, args, signal: 'SIGTERM', stamp: '' };
  launch(program);
  return waitFor(program, START_SECONDS, () => isServing(stack, service)).then(
    () => undefined,
    (error: unknown) => (error instanceof Error ? error.message : 'unknown error'),
  );
};

/** Starts all services, also those after one that refuses; answers what was refused. */
export const startServices = async (stack: Stack): Promise<string[]> => {
  const refusals: string[] = [];
  for (const service of SERVICES) {
    const refusal = await startService(stack, service);
    if (refusal !== undefined) refusals.push(refusal);
  }
  return refusals;
};

export const stopAll = (stack: Stack): Promise<void> => down(stack);

export const dataPlaceOf = (stack: Stack) => placeOf(stack, silent);
