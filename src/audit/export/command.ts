// The command that keeps a copy of the log in a folder, for verifiers and for the day on which the log is gone. Run again, it goes on
// where it was.
import { resolve } from 'node:path';
import { z } from 'zod';
import { AuditServiceService } from '../../gen/strongroom/audit/v1/audit_service.ts';
import { dial } from '../../kernel/client.ts';
import { logSchema, peerSchema, readConfig, tlsSchema } from '../../kernel/config.ts';
import { AppError } from '../../kernel/errors.ts';
import { openLog } from '../../kernel/log.ts';
import { openTls } from '../../kernel/tls.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { parseVerifier, type Verifier } from '../note.ts';
import { openArchive } from './archive.ts';
import { openFollower } from './follow.ts';

const USAGE = 'usage: node src/main.ts export-log <config.json> <folder>';

const verifierSchema = z.string().transform((text, context): Verifier => {
  const verifier = parseVerifier(text);
  if (verifier) return verifier;
  context.addIssue({ code: 'custom', message: 'is not the key of a log (name+id+key, of type 01)' });
  return z.NEVER;
});

export const exportLogConfig = z.strictObject({
  tls: tlsSchema,
  audit: peerSchema,
  /** The log's keys as you know them, and not from the log that you are about to check. */
  verifierKeys: z.array(verifierSchema).min(1),
  log: logSchema.default({ level: 'warn' }),
});

/** A stream that ends by its age, or with the server, goes on with the next one, as long as there is progress. */
const isOver = (error: unknown): boolean => error instanceof AppError && error.code === 'UNAVAILABLE';

export const exportLog = async (configFile: string, folder: string): Promise<Checkpoint> => {
  const config = readConfig(configFile, exportLogConfig);
  await using tls = openTls(config.tls, openLog('export', config.log.level));
  await using client = dial(AuditServiceService, config.audit, tls, 'AUDIT_UNAVAILABLE');
  const archive = await openArchive(resolve(folder));
  for (let reached = -1n; ;) {
    // What came after the last full bundle is asked for again.
    const follower = await openFollower(archive, config.verifierKeys);
    const fromSize = follower.size;
    try {
      for await (const file of client.exportLog({ fromSize }, { signal: AbortSignal.timeout(24 * 3_600_000) })) {
        const checkpoint = await follower.take(file);
        if (checkpoint) return checkpoint;
      }
      throw new Error('the stream ended before the checkpoint');
    } catch (error) {
      if (!isOver(error) || fromSize === reached) throw error;
      reached = fromSize;
    }
  }
};

export const runExportLogCommand = async (args: readonly string[]): Promise<void> => {
  const [configFile, folder, extra] = args;
  if (!configFile || !folder || extra !== undefined) throw new Error(USAGE);
  const { origin, size } = await exportLog(configFile, folder);
  process.stdout.write(`✓ ${folder} has all ${size} entries of ${origin}, checked against the checkpoint that its key has signed\n`);
};
