// The checkpoint that is kept outside of the audit log's database: what the database alone could not show, it shows.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, inject, it, vi } from 'vitest';
import { parseCheckpoint } from '../../src/audit/checkpoint.ts';
import { openNote, openSigner } from '../../src/audit/note.ts';
import { openOutside } from '../../src/audit/outside.ts';
import { openWriter, type Writer } from '../../src/audit/writer.ts';
import type { Log } from '../../src/kernel/log.ts';
import { append as appendOne, draft, forge, MIGRATIONS, signer } from './scratch-log.ts';
import { scratchDatabase, silentLog } from './scratch.ts';

const append = (writer: Writer, count: number) => Promise.all(Array.from({ length: count }, () => appendOne(writer, draft())));

/** A log whose writer can be stopped and started again, and its files. */
const newLog = async (names: readonly string[] = ['checkpoint']) => {
  const scratch = await scratchDatabase(inject('stack'), MIGRATIONS);
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-checkpoint-'));
  const files = names.map((name) => join(folder, name));
  const db = scratch.open();
  const warnings: string[] = [];
  const log: Log = { ...silentLog, warn: (_, message) => void warnings.push(message) };
  const open = async () => {
    const outside = openOutside(files, signer.verifiers, log);
    try {
      const writer = await openWriter({ db, signer, log, outside });
      return {
        writer,
        stop: async () => {
          await writer[Symbol.asyncDispose]();
          await outside[Symbol.asyncDispose]();
        },
      };
    } catch (error) {
      await outside[Symbol.asyncDispose]();
      throw error;
    }
  };
  /** Starts, appends, stops. */
  const run = async (count: number): Promise<void> => {
    const { writer, stop } = await open();
    await append(writer, count);
    await stop();
  };
  return {
    scratch,
    files,
    file: files[0]!,
    warnings,
    open,
    run,
    [Symbol.asyncDispose]: async () => {
      await scratch[Symbol.asyncDispose]();
      rmSync(folder, { recursive: true });
    },
  };
};
type TestLog = Awaited<ReturnType<typeof newLog>>;
const sizeIn = (file: string): bigint | undefined => parseCheckpoint(openNote(readFileSync(file, 'utf8'), signer.verifier) ?? '')?.size;

const TABLES = ['entries', 'tiles', 'checkpoints', 'log_state'];
const backUp = async ({ scratch }: TestLog): Promise<void> => {
  await scratch.sql(`create schema backup; ${TABLES.map((table) => `create table backup.${table} as table ${table}`).join('; ')}`);
};
const bringBack = async ({ scratch }: TestLog): Promise<void> => {
  await scratch.sql(
    `begin; truncate ${TABLES.join(', ')}; ${TABLES.map((table) => `insert into ${table} select * from backup.${table}`).join('; ')}; commit`,
  );
};

describe('the checkpoint outside of the database', () => {
  it('is there from the first start on, in every file, and follows the log without holding it up', async () => {
    await using log = await newLog(['one', 'two']);
    const { writer, stop } = await log.open();
    await vi.waitFor(() => expect(log.files.map(sizeIn)).toEqual([0n, 0n]), 5_000);
    for (let i = 0; i < 20; i++) await append(writer, 3);
    await vi.waitFor(() => expect(log.files.map(sizeIn)).toEqual([60n, 60n]), 5_000);
    await append(writer, 1);
    await stop();
    expect(log.files.map(sizeIn)).toEqual([61n, 61n]);
    await log.run(1);
    expect(log.files.map(sizeIn)).toEqual([62n, 62n]);
  });

  it('cannot be written: the log goes on, says so, and writes it when it can', async () => {
    await using log = await newLog(['missing/checkpoint', 'fine']);
    const { writer, stop } = await log.open();
    await append(writer, 5);
    await vi.waitFor(() => expect(log.warnings.join()).toContain('could not be written outside'), 5_000);
    await vi.waitFor(() => expect(sizeIn(log.files[1]!)).toBe(5n), 5_000);
    mkdirSync(join(log.file, '..'));
    await vi.waitFor(() => expect(sizeIn(log.file)).toBe(5n), 8_000);
    await stop();
  });

  it.each([0, 1, 255, 256, 257, 300])('of %i entries is continued by the log that goes on from there', async (size) => {
    await using log = await newLog();
    await log.run(size);
    const early = readFileSync(log.file);
    await log.run(70);
    await log.run(300);
    // As one that was copied away long ago.
    writeFileSync(log.file, early);
    await log.run(1);
    expect(sizeIn(log.file)).toBe(BigInt(size + 371));
  });
});

describe('a log that does not continue it is not continued', () => {
  it('when its database was rolled back to a backup', async () => {
    await using log = await newLog();
    await log.run(10);
    await backUp(log);
    await log.run(5);
    await bringBack(log);
    await expect(log.open()).rejects.toThrow(
      /rolled back: the checkpoint in .*checkpoint is of 15 entries, and the database has 10; restore/,
    );
    // Somebody decides to go on with what is left.
    rmSync(log.file);
    await log.run(1);
    expect(log.warnings.join()).toContain('there is no checkpoint outside of the database');
    expect(sizeIn(log.file)).toBe(11n);
  });

  it('when it was rolled back, and then has grown beyond it', async () => {
    await using log = await newLog();
    await log.run(10);
    await backUp(log);
    await log.run(5);
    await bringBack(log);
    const mine = readFileSync(log.file);
    rmSync(log.file);
    await log.run(300);
    writeFileSync(log.file, mine);
    await expect(log.open()).rejects.toThrow(/was changed: its first 15 entries do not lead to the root/);
  });

  it('when all of it was removed', async () => {
    await using log = await newLog();
    await log.run(3);
    await log.scratch.sql(`truncate entries, tiles, checkpoints; update log_state set size = 0, frontier = ''`);
    await expect(log.open()).rejects.toThrow(/rolled back/);
  });

  it.each([
    ['a full tile', 'update tiles set hashes = set_byte(hashes, 0, (get_byte(hashes, 0) + 1) % 256) where level = 0 and tile = 0'],
    ['a tile that is gone', 'delete from tiles where level = 0 and tile = 0'],
  ])('when its past was changed: %s', async (_, change) => {
    await using log = await newLog();
    await log.run(300);
    const early = readFileSync(log.file);
    // Far enough behind that the end of the log alone does not show it.
    await log.run(512 * 2);
    writeFileSync(log.file, early);
    await log.scratch.sql(change);
    await expect(log.open()).rejects.toThrow(/was changed|does not fit together/);
  });

  it('when an entry and all that hangs on it were changed by somebody with the signing key', async () => {
    await using log = await newLog();
    await log.run(300);
    await forge(log, 7, signer);
    await expect(log.open()).rejects.toThrow(/was changed: its first 300 entries do not lead to the root of the checkpoint in/);
    // Without the file there is nothing that the database alone could show.
    rmSync(log.file);
    await log.run(1);
  });

  it('by a writer that is running and reads the log again', async () => {
    await using log = await newLog();
    await log.run(4);
    await backUp(log);
    const { writer, stop } = await log.open();
    await append(writer, 4);
    await bringBack(log);
    // It finds another size than it left; then it reads the log again.
    await expect(append(writer, 1)).rejects.toMatchObject({ reason: 'AUDIT_STANDBY' });
    await expect(append(writer, 1)).rejects.toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
    expect(await log.scratch.sql('select size::int from log_state')).toEqual([{ size: 4 }]);
    await stop();
  });

  it('by a writer that is running, also without any file', async () => {
    await using log = await newLog([]);
    await log.run(4);
    await backUp(log);
    const { writer, stop } = await log.open();
    await append(writer, 4);
    await bringBack(log);
    await expect(append(writer, 1)).rejects.toMatchObject({ reason: 'AUDIT_STANDBY' });
    await expect(writer.current()).rejects.toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
    await stop();
  });
});

describe('a checkpoint file', () => {
  it.each([
    ['was changed', (note: string) => note.replace(/\n5\n/, '\n4\n')],
    ['was cut short', (note: string) => note.slice(0, -10)],
    ['is empty', () => ''],
    ['is something else', () => 'hello\n'],
    [
      'is signed by another key',
      () => openSigner('test.example/log', Buffer.alloc(32, 9)).sign(`test.example/log\n5\n${Buffer.alloc(32).toString('base64')}\n`),
    ],
  ])('that %s stops the start, with what to do', async (_, change) => {
    await using log = await newLog();
    await log.run(5);
    writeFileSync(log.file, change(readFileSync(log.file, 'utf8')));
    await expect(log.open()).rejects.toThrow(/is not signed with this log's key .*compare it with a copy/);
  });

  it('that cannot be read stops the start', async () => {
    await using log = await newLog();
    await log.run(5);
    rmSync(log.file);
    mkdirSync(log.file);
    await expect(log.open()).rejects.toThrow(/cannot read the checkpoint file/);
  });

  it('of which a part was written when the program was killed is not taken for one', async () => {
    await using log = await newLog();
    await log.run(5);
    writeFileSync(`${log.file}.new`, 'half a ch');
    await log.run(1);
    expect(sizeIn(log.file)).toBe(6n);
  });
});
