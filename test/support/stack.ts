// A whole stack for tests: real PostgreSQL, real certificates, the four processes, in a folder and on ports of its own,
// started as `make up` starts it. Integration tests share one; a test that breaks things starts one for itself.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import type { TestProject } from 'vitest/node';
import { dataFolderOf } from '../../src/dev/postgres-place.ts';
import { connect } from '../../src/dev/provision.ts';
import { openScratch } from '../../src/dev/scratch.ts';
import type { Part, Service, Stack } from '../../src/dev/stack.ts';
import { status, stopPart, up } from '../../src/dev/up.ts';

declare module 'vitest' {
  interface ProvidedContext {
    stack: Stack;
  }
}

export interface TestStack extends AsyncDisposable {
  readonly stack: Stack;
}

export const startStack = async (): Promise<TestStack> => {
  const scratch = await openScratch('test');
  return { stack: scratch.live, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
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
