// The command that follows the log and writes each entry as one line of JSON, for whatever collects events. It goes on from where
// it was; after a crash, it may write the last lines a second time, and their ids tell.
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { AuditServiceService, TailEntriesRequest } from '../gen/strongroom/audit/v1/audit_service.ts';
import { dial } from '../kernel/client.ts';
import { logSchema, peerSchema, readConfig, tlsSchema } from '../kernel/config.ts';
import { AppError } from '../kernel/errors.ts';
import { describe, openLog } from '../kernel/log.ts';
import { openTls } from '../kernel/tls.ts';
import { FORMATS } from './export-formats.ts';

const USAGE = `usage: node src/main.ts export-events <config.json> --format ${Object.keys(FORMATS).join('|')} [--from <index>] [--position <file>]`;
const AGAIN_MS = 1_000;

/** Who reads, and where. */
export const exportConfig = z.strictObject({ tls: tlsSchema, audit: peerSchema, log: logSchema.default({ level: 'warn' }) });

const parseIndex = (text: string, what: string): bigint => {
  if (!/^\d{1,18}$/.test(text.trim())) throw new Error(`${what} must be the index of an entry, a number`);
  return BigInt(text);
};

const readPosition = (file: string | undefined): string | undefined => {
  try {
    return file === undefined ? undefined : readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
};

/** Whole or not at all. */
const writePosition = (file: string | undefined, next: bigint): void => {
  if (file === undefined) return;
  writeFileSync(`${file}.new`, `${next}\n`);
  renameSync(`${file}.new`, file);
};

/** Resolves when the collector has taken it. */
const write = (text: string): Promise<void> =>
  new Promise((resolve, reject) => process.stdout.write(text, (error) => (error ? reject(error) : resolve())));

export const runExportCommand = async (args: string[]): Promise<void> => {
  const options = { format: { type: 'string' }, from: { type: 'string' }, position: { type: 'string' } } as const;
  const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
  const [configFile, extra] = positionals;
  const format = Object.hasOwn(FORMATS, values.format ?? '') ? FORMATS[values.format ?? ''] : undefined;
  if (!configFile || extra !== undefined || !format) throw new Error(USAGE);
  const config = readConfig(configFile, exportConfig);
  let next = parseIndex(readPosition(values.position) ?? values.from ?? '0', values.position ?? '--from');

  await using stack = new AsyncDisposableStack();
  const log = openLog('export-events', config.log.level);
  const client = stack.use(dial(AuditServiceService, config.audit, stack.use(openTls(config.tls, log)), 'AUDIT_UNAVAILABLE'));
  const { signal } = new AbortController();
  for (;;) {
    try {
      for await (const { entries, nextIndex } of client.tailEntries(TailEntriesRequest.fromPartial({ startIndex: next }), { signal })) {
        if (entries.length > 0) await write(entries.map((entry) => `${JSON.stringify(format(entry))}\n`).join(''));
        if (nextIndex !== next) writePosition(values.position, nextIndex);
        next = nextIndex;
      }
    } catch (error) {
      // Streams end in time, and services are restarted. What is forbidden or malformed will not get better.
      const mayPass = error instanceof AppError && (error.code === 'UNAVAILABLE' || error.code === 'DEADLINE_EXCEEDED');
      // Without its cause, which says the same once more.
      if (!mayPass) throw error instanceof AppError ? new Error(error.message) : error;
      if (error.reason !== 'STREAM_CLOSED' && error.reason !== 'DEADLINE_EXCEEDED')
        log.warn({ error: describe(error), index: String(next) }, 'the log cannot be followed; trying again');
      await sleep(AGAIN_MS);
    }
  }
};
