// A whole stack for tests: real PostgreSQL, real certificates, the four processes, in a folder and on ports of its own,
// started as `make up` starts it. Integration tests share one; a test that breaks things starts one for itself.
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import type { TestProject } from 'vitest/node';
import { isFree } from '../../src/dev/ports.ts';
import { dataFolderOf } from '../../src/dev/postgres-place.ts';
import { connect } from '../../src/dev/provision.ts';
import { HOST, stackAt, type Part, type Service, type Stack } from '../../src/dev/stack.ts';
import { reset, status, stopPart, up } from '../../src/dev/up.ts';

declare module 'vitest' {
  interface ProvidedContext {
    stack: Stack;
  }
}

const PREFIX = 'strongroom-test-';

const freeBase = async (): Promise<number> => {
  for (;;) {
    const base = 10_000 + Math.floor(Math.random() * 2_000) * 10;
    const { base: _, ...ports } = stackAt('', '', base).ports;
    const free = await Promise.all(Object.values(ports).map((port) => isFree(port, HOST)));
    if (!free.includes(false)) return base;
  }
};

const isRunning = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

const wipe = async (folder: string): Promise<void> => {
  await reset(stackAt(join(folder, 'state'), join(folder, 'certs'), 0));
  rmSync(folder, { recursive: true, force: true });
};

/** What a run that was killed has left behind. */
const wipeAbandoned = async (): Promise<void> => {
  for (const name of readdirSync(tmpdir())) {
    const folder = join(tmpdir(), name);
    const pid = Number(/^strongroom-test-(\d+)-/.exec(name)?.[1]);
    if (pid && !isRunning(pid) && statSync(folder, { throwIfNoEntry: false })?.uid === process.getuid?.()) await wipe(folder);
  }
};

export interface TestStack extends AsyncDisposable {
  readonly stack: Stack;
}

export const startStack = async (): Promise<TestStack> => {
  await wipeAbandoned();
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`));
  // PostgreSQL may run as another user, who has to get to its folder.
  chmodSync(folder, 0o755);
  const stack = stackAt(join(folder, 'state'), join(folder, 'certs'), await freeBase());
  try {
    await up(stack);
  } catch (error) {
    await wipe(folder);
    throw error;
  }
  return { stack, [Symbol.asyncDispose]: () => wipe(folder) };
};

/** Ends a process: with SIGKILL it gets no chance to tidy up. */
export const end = (stack: Stack, part: Part, signal: NodeJS.Signals): Promise<boolean> => stopPart(stack, part, signal);

/** Starts again what does not run, and waits until all is healthy. */
export const restart = (stack: Stack): Promise<boolean> => up(stack);

export const pidOf = async (stack: Stack, part: Part): Promise<number> => {
  const pid = (await status(stack)).find((found) => found.part === part)?.pid;
  if (pid === undefined) throw new Error(`${part} does not run`);
  return pid;
};

export const logOf = (stack: Stack, part: Part): string => readFileSync(join(stack.state, `${part}.log`), 'utf8');

/** All of PostgreSQL's files: tables, WAL, everything. */
export const dataOf = (stack: Stack): string => dataFolderOf(stack);

/** A connection past every service: as the owner of the tables, to tamper with them, or as superuser. */
export const withDatabase = async <T>(
  stack: Stack,
  service: Exclude<Service, 'worker'>,
  work: (client: pg.Client) => Promise<T>,
  as: 'owner' | 'superuser' = 'owner',
): Promise<T> => {
  const client = await connect(stack, service, as);
  try {
    return await work(client);
  } finally {
    await client.end();
  }
};

/** Vitest's global setup: the one stack that integration tests share, found by them with `inject('stack')`. */
export const setup = async (project: TestProject): Promise<() => Promise<void>> => {
  const shared = await startStack();
  project.provide('stack', shared.stack);
  return async () => {
    await shared[Symbol.asyncDispose]();
  };
};
