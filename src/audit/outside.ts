// The newest checkpoint outside of the database: in memory, and in files that may be on other disks. It tells a database
// that was rolled back, or rewritten with the signing key at hand, from the one that was there. Files are written behind
// the commits, the newest checkpoint each time, and no acknowledgement waits for them.
import { readFileSync } from 'node:fs';
import { open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, type Log } from '../kernel/log.ts';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { openNote, type Verifier } from './note.ts';

/** Between two writes: a busy log would else share the disk with them all the time. */
const PAUSE_MS = 200;
const RETRY_MS = 2_000;

/** Refuses a log of this size that does not continue what it was made of. */
export type Continues = (size: bigint, rootAt: (size: bigint) => Promise<Buffer>) => Promise<void>;

export interface Outside extends AsyncDisposable {
  publish(checkpoint: { size: bigint; root: Buffer; note: string }): void;
  /**
   * What is out here at this moment, as a check. To be taken before the log is read: what another process publishes meanwhile would
   * look like a log that was rolled back.
   */
  look(): Continues;
}

const ADVICE =
  'restore a database that has all entries; if there is none, keep this one and the file as evidence, and move the file away to go on with what is left (docs/operations.md)';

/** Undefined if the file is not there. */
const readOutside = (file: string, verifiers: readonly Verifier[]): Checkpoint | undefined => {
  let note: string;
  try {
    note = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`cannot read the checkpoint file ${file}: ${error instanceof Error ? error.message : 'unknown error'}`, {
      cause: error,
    });
  }
  const checkpoint = parseCheckpoint(openNote(note, verifiers) ?? '');
  if (verifiers.some(({ name }) => checkpoint?.origin === name)) return checkpoint;
  throw new Error(
    `the checkpoint file ${file} is not signed with this log's key (${verifiers.map(({ text }) => text).join(', ')}): it was changed, or is another log's; compare it with a copy, or name another file`,
  );
};

const compare = async (what: string, told: Checkpoint, size: bigint, rootAt: (size: bigint) => Promise<Buffer>): Promise<void> => {
  if (told.size > size)
    throw new Error(`the audit log was rolled back: ${what} is of ${told.size} entries, and the database has ${size}; ${ADVICE}`);
  const root = await rootAt(told.size).catch((error: unknown) => error);
  if (!(root instanceof Buffer && root.equals(told.root)))
    throw new Error(`the audit log was changed: its first ${told.size} entries do not lead to the root of ${what}; ${ADVICE}`);
};

/** Whole or not at all, and durable. */
const save = async (file: string, note: string): Promise<void> => {
  // Replicas may share a file.
  const fresh = `${file}.${process.pid}.new`;
  const handle = await open(fresh, 'w', 0o644);
  try {
    await handle.writeFile(note);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(fresh, file);
  const folder = await open(dirname(file), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
};

export const openOutside = (files: readonly string[], verifiers: readonly Verifier[], log: Log): Outside => {
  let newest: Checkpoint | undefined;
  let waiting: string | undefined;
  let writing: Promise<void> | undefined;
  const stop = new AbortController();
  const pause = (ms: number) => sleep(ms, undefined, { signal: stop.signal, ref: false }).catch(() => undefined);

  const saveAll = async (note: string): Promise<boolean> => {
    const saved = await Promise.all(
      files.map((file) =>
        save(file, note).then(
          () => true,
          (error: unknown) => {
            log.warn({ file, error: describe(error) }, 'the checkpoint could not be written outside of the database');
            return false;
          },
        ),
      ),
    );
    return !saved.includes(false);
  };
  const write = async (): Promise<void> => {
    while (waiting !== undefined && !stop.signal.aborted) {
      const note = waiting;
      waiting = undefined;
      const saved = await saveAll(note);
      if (!saved) waiting ??= note;
      await pause(saved ? PAUSE_MS : RETRY_MS);
    }
    writing = undefined;
  };

  return {
    publish: ({ size, root, note }) => {
      if (newest && newest.size >= size) return;
      newest = { origin: verifiers[0]?.name ?? '', size, root };
      if (files.length === 0) return;
      waiting = note;
      writing ??= write();
    },
    look: () => {
      const told = files.map((file) => ({ file, checkpoint: readOutside(file, verifiers) }));
      const seen = newest;
      return async (size, rootAt) => {
        for (const { file, checkpoint } of told) {
          if (checkpoint) await compare(`the checkpoint in ${file}`, checkpoint, size, rootAt);
          else if (size > 0n) log.warn({ file }, 'there is no checkpoint outside of the database to compare the log with; it is made now');
        }
        if (seen) await compare('the last checkpoint that this process has seen', seen, size, rootAt);
      };
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await writing;
      if (waiting !== undefined) await saveAll(waiting);
    },
  };
};
