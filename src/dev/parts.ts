// Parts of a stack, each started for itself, whatever the others do: for drills and tests that stop and restore them.
import { isServing } from './clients.ts';
import { configFileOf } from './configs.ts';
import { openPostgres, startPostgres } from './postgres.ts';
import { launch, waitFor, type Program } from './processes.ts';
import { MAIN, SERVICES, silent, type Service, type Stack } from './stack.ts';

const START_SECONDS = 30;

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
