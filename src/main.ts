// One program, four services: the name on the command line says which one runs, and nothing of the others is loaded. And the
// commands for master keys in shares, for the export of audit events, for a copy of the log, and for secrets that move in.
// Owns the process: signals, errors that nobody handled, and how a failed start looks.
import type { z } from 'zod';
import { readConfig } from './kernel/config.ts';
import { describe, openLog } from './kernel/log.ts';

interface Slice {
  start: (configFile: string) => Promise<AsyncDisposable>;
  migrate: (configFile: string) => Promise<void>;
}

interface Service {
  slice: () => Promise<Slice>;
  config: () => Promise<z.ZodType>;
}

const SERVICES: Readonly<Record<string, Service>> = {
  store: { slice: () => import('./store/main.ts'), config: async () => (await import('./store/config.ts')).storeConfig },
  keys: { slice: () => import('./keys/main.ts'), config: async () => (await import('./keys/config.ts')).keysConfig },
  audit: { slice: () => import('./audit/main.ts'), config: async () => (await import('./audit/config.ts')).auditConfig },
  worker: { slice: () => import('./worker/main.ts'), config: async () => (await import('./worker/config.ts')).workerConfig },
};

const NAMES = Object.keys(SERVICES).join('|');
const USAGE = `usage: node src/main.ts [migrate|check] <${NAMES}> <config.json> | master-key split|combine ... | export-events|export-log ... | import ...`;

const fail = (message: string): never => {
  process.stderr.write(`strongroom: ${message.replaceAll(/\s+/g, ' ')}\n`);
  process.exit(1);
};

const sentence = (error: unknown): string => {
  if (!(error instanceof Error)) return describe(error);
  const cause = error.cause instanceof Error ? error.cause.message : '';
  return cause && !error.message.includes(cause) ? `${error.message} (${cause})` : error.message;
};

const watchProcess = (name: string): void => {
  const crash = (error: unknown): void => {
    openLog(name, 'error').error({ error: describe(error) }, 'ended by an error that nothing handled');
    process.exit(1);
  };
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);
};

/** The first signal lets calls under way end, the second does not wait for them. */
const stopOnSignal = (running: AsyncDisposable): void => {
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    running[Symbol.asyncDispose]().then(
      () => process.exit(0),
      (error: unknown) => fail(`did not stop cleanly: ${sentence(error)}`),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
};

const run = async (command: string, name: string, configFile: string): Promise<void> => {
  const service = (Object.hasOwn(SERVICES, name) && SERVICES[name]) || fail(`there is no service ${name}; ${USAGE}`);
  if (command === 'check') {
    readConfig(configFile, await service.config());
    return;
  }
  watchProcess(name);
  const { start, migrate } = await service.slice();
  if (command === 'migrate') await migrate(configFile);
  else stopOnSignal(await start(configFile));
};

// Node and gRPC make errors for every call, to be thrown away or not; no log line of ours shows a stack.
Error.stackTraceLimit = 0;

const [first = '', ...rest] = process.argv.slice(2);
const [command, name, configFile, extra] = first === 'migrate' || first === 'check' ? [first, ...rest] : ['start', first, ...rest];
if (first === 'master-key') {
  const { runMasterKeyCommand } = await import('./keys/master-key-command.ts');
  await runMasterKeyCommand(rest).catch((error: unknown) => fail(sentence(error)));
} else if (first === 'export-events') {
  const { runExportCommand } = await import('./audit/export-command.ts');
  await runExportCommand(rest).catch((error: unknown) => fail(sentence(error)));
} else if (first === 'export-log') {
  const { runExportLogCommand } = await import('./audit/export/command.ts');
  await runExportLogCommand(rest).catch((error: unknown) => fail(sentence(error)));
} else if (first === 'import') {
  const { runImportCommand } = await import('./import/command.ts');
  await runImportCommand(rest).catch((error: unknown) => fail(sentence(error)));
} else if (!name || !configFile || extra !== undefined) fail(USAGE);
else await run(command, name, configFile).catch((error: unknown) => fail(sentence(error)));
