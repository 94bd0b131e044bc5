// The master keys of the soft backend, in memory: read from their files when they are first needed, so that a replica opens
// what another one has sealed, and forgotten when they are destroyed. At the start, what the database is sealed under must be there.
import { randomBytes } from 'node:crypto';
import type { Db, Queryable } from '../kernel/db.ts';
import { AppError } from '../kernel/errors.ts';
import { enqueue } from '../kernel/outbox.ts';
import { masterKeyId, type KeyFiles } from './key-files.ts';
import { masterKeyName } from './names.ts';
import type { OwnEvent } from './own-actions.ts';
import { insertNew, lead, promote, recordDestroyed, selectCurrent, selectMasterKeys, type MasterKeyRow } from './sql/master-keys.ts';
import { KEY_BYTES } from './wrap.ts';

export interface MasterKeys {
  /** The id of the one that seals. */
  current(): Promise<string>;
  /** Lends the key to `use`, which must not keep it. Errors: UNAVAILABLE. */
  use<T>(id: string, use: (key: Buffer) => T): T;
  /** Forgets those that are destroyed. */
  refresh(): Promise<void>;
}

const unavailable = (what: string, cause?: unknown): AppError => new AppError('KEYS_UNAVAILABLE', what, { cause });

/**
 * Makes a key in steps that survive a crash: its id, its file, its turn. The steps before the turn are not part of the
 * transaction, so that a file is never there unknown. To be called by who leads; answers its id and that of the one before.
 */
export const makeMasterKey = async (
  db: Db,
  tx: Queryable,
  files: KeyFiles,
  rows: readonly MasterKeyRow[],
): Promise<{ id: string; previous: string | undefined }> => {
  const begun = rows.find(({ state }) => state === 'NEW')?.id;
  let id = begun;
  if (begun !== undefined && !files.list().includes(begun)) {
    // Killed before its file was there: the key is lost, and was never in use.
    await files.destroy(begun);
    await recordDestroyed(db.read, begun);
    id = undefined;
  }
  if (id === undefined) {
    const key = randomBytes(KEY_BYTES);
    id = masterKeyId(key);
    try {
      await insertNew(db.read, id);
      await files.write(id, key);
    } finally {
      key.fill(0);
    }
  }
  files.read(id).fill(0);
  return { id, previous: await promote(tx, id) };
};

const refuse = (dir: string, what: string): Error => new Error(`the folder of master keys ${dir} does not fit the database: ${what}`);

/** What the database is sealed under must be there, as the key that it was. */
export const requireMasterKeys = async (db: Queryable, files: KeyFiles): Promise<void> => {
  const problems = (await selectMasterKeys(db))
    .filter(({ state, used }) => state === 'CURRENT' || used)
    .flatMap(({ id, state }) => {
      try {
        files.read(id).fill(0);
        return [];
      } catch (error) {
        const missing = (error as { cause?: NodeJS.ErrnoException }).cause?.code === 'ENOENT';
        if (missing && state === 'DESTROYED') return [`${id} was destroyed`];
        return [missing ? `${id}.key is not there` : error instanceof Error ? error.message : id];
      }
    });
  if (problems.length === 0) return;
  throw refuse(
    files.dir,
    `${problems.join(', ')}; put back the keys that it is sealed under. If they were destroyed after a rotation, this database is a backup that nothing opens any more: restore a newer one`,
  );
};

/** The first key of all, if there is neither a key nor a record of one. */
const makeFirst = async (db: Db, files: KeyFiles, ownEvent: OwnEvent): Promise<void> => {
  await db.transaction(async (tx) => {
    await lead(tx);
    const rows = await selectMasterKeys(tx);
    const there = files.list();
    if (rows.some(({ state }) => state === 'CURRENT')) return;
    const strangers = there.filter((id) => !rows.some((row) => row.id === id && row.state === 'NEW'));
    if (rows.some(({ state, empty_time }) => state === 'PREVIOUS' || empty_time !== null))
      throw refuse(files.dir, 'the database has no current master key, although it had one; restore it');
    if (strangers.length > 0)
      throw refuse(
        files.dir,
        `it has ${strangers.join(', ')}, and the database knows of no master key; restore the database, or take the keys out`,
      );
    const { id } = await makeMasterKey(db, tx, files, rows);
    enqueue(tx, ownEvent('keys.masterkey.rotate', masterKeyName(id), { attributes: { masterKey: id } }));
  });
};

export const openMasterKeys = async (db: Db, files: KeyFiles, ownEvent: OwnEvent): Promise<MasterKeys & AsyncDisposable> => {
  await makeFirst(db, files, ownEvent);
  await requireMasterKeys(db.read, files);
  const keys = new Map<string, Buffer>();
  const forget = (id: string): void => {
    keys.get(id)?.fill(0);
    keys.delete(id);
  };
  const load = (id: string): Buffer => {
    try {
      const key = files.read(id);
      keys.set(id, key);
      return key;
    } catch (error) {
      throw unavailable(`master key ${id}, which is needed to open a root key, is not where master keys are kept; put it back`, error);
    }
  };
  return {
    current: async () => {
      const id = await selectCurrent(db.read);
      if (id === undefined) throw unavailable('there is no current master key');
      return id;
    },
    use: (id, use) => use(keys.get(id) ?? load(id)),
    refresh: async () => {
      const alive = new Set((await selectMasterKeys(db.read)).filter(({ state }) => state !== 'DESTROYED').map(({ id }) => id));
      for (const id of keys.keys()) if (!alive.has(id)) forget(id);
    },
    [Symbol.asyncDispose]: async () => [...keys.keys()].forEach(forget),
  };
};
