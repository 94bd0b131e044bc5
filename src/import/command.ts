// The command that moves secrets in from elsewhere: from a file or from standard input, never from the command line, where others see
// them. Everything that can be checked is checked before the first one is written.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { SecretAccessServiceService } from '../gen/strongroom/secrets/v1/secret_access_service.ts';
import { SecretServiceService } from '../gen/strongroom/secrets/v1/secret_service.ts';
import { dial } from '../kernel/client.ts';
import { logSchema, peerSchema, readConfig, tlsSchema } from '../kernel/config.ts';
import { AppError } from '../kernel/errors.ts';
import { openLog } from '../kernel/log.ts';
import { openTls } from '../kernel/tls.ts';
import { FORMATS, type Item } from './formats.ts';
import { idOf, problemsOf } from './ids.ts';
import { importItems, type Outcome, type Result } from './importing.ts';
import { openProgress } from './progress.ts';

const USAGE = `usage: node src/main.ts import <client.json> <group> --format ${Object.keys(FORMATS).join('|')} [--dry-run] [<file>|-]`;
const SERVICE_CONFIG = join(import.meta.dirname, '../../docs/client/service-config.json');
const MAX_PAYLOAD_BYTES = 1024 * 1024;

/** Who imports, and where to. */
export const clientConfig = z.strictObject({ tls: tlsSchema, store: peerSchema, log: logSchema.default({ level: 'warn' }) });

const TOLD: Readonly<Record<Exclude<Result, 'created' | 'same'>, string>> = {
  differs: 'is there already, with another value; nothing was changed',
  unread: 'is there already; you may not read it, so it was not compared',
  failed: 'could not be imported',
};

const say = (line: string): void => void process.stdout.write(`${line}\n`);

const readItems = (file: string, parse: (text: string) => Item[]): Item[] => {
  const bytes = readFileSync(file === '-' ? 0 : file);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Error('what is to be imported is not UTF-8');
  } finally {
    bytes.fill(0);
  }
  return parse(text);
};

const assertImportable = (items: readonly Item[]): void => {
  const large = items.filter(({ value }) => Buffer.byteLength(value) > MAX_PAYLOAD_BYTES);
  const problems = [
    ...problemsOf(items.map(({ name }) => name)),
    ...large.map(({ name }) => `${JSON.stringify(name)} has more than ${MAX_PAYLOAD_BYTES} bytes`),
  ];
  if (problems.length === 0) return;
  for (const problem of problems) say(`✗ ${problem}`);
  throw new Error(`nothing was written: ${problems.length} of ${items.length} names cannot be imported as they are`);
};

const report = (outcomes: readonly Outcome[], dryRun: boolean): void => {
  for (const { item, result, why } of outcomes)
    if (result !== 'created' && result !== 'same') say(`! ${idOf(item.name)} (${JSON.stringify(item.name)}) ${why ?? TOLD[result]}`);
  const count = (result: Result) => outcomes.filter((outcome) => outcome.result === result).length;
  const [created, same, unread] = [count('created'), count('same'), count('unread')];
  say(
    `${dryRun ? 'would create' : 'created'} ${created}, there already and the same ${same}, different ${count('differs')}, ` +
      `not compared ${unread}, failed ${count('failed')}`,
  );
};

export const runImportCommand = async (args: string[]): Promise<void> => {
  const options = { format: { type: 'string' }, 'dry-run': { type: 'boolean', default: false } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [configFile, group, file = '-', extra] = positionals;
  const format = values.format ?? '';
  const parse = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
  if (!configFile || !group || extra !== undefined || !parse) throw new Error(USAGE);
  const config = readConfig(configFile, clientConfig);
  const items = readItems(file, parse);
  assertImportable(items);

  await using stack = new AsyncDisposableStack();
  const tls = stack.use(openTls(config.tls, openLog('import', config.log.level)));
  const serviceConfig = readFileSync(SERVICE_CONFIG, 'utf8');
  const secrets = stack.use(dial(SecretServiceService, config.store, tls, 'DATABASE_UNAVAILABLE', serviceConfig));
  const access = stack.use(dial(SecretAccessServiceService, config.store, tls, 'DATABASE_UNAVAILABLE', serviceConfig));
  const progress = openProgress(items.length, process.stderr);
  const dryRun = values['dry-run'];
  const outcomes: Outcome[] = [];
  try {
    await importItems({ secrets, access, group, format, dryRun, step: () => progress.step() }, items, outcomes);
  } catch (error) {
    // Without its cause, which says the same once more.
    throw error instanceof AppError ? new Error(`${error.message}; what was imported stays, run it again to go on`) : error;
  } finally {
    progress.end();
    report(outcomes, dryRun);
  }
  if (outcomes.some(({ result }) => result === 'differs' || result === 'failed')) process.exitCode = 1;
};
