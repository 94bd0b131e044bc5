// What the audit log tells of destructions, made again: once more or for the first time, it comes to the same.
import type { Db, Queryable } from '../kernel/db.ts';
import type { KeyBackend } from './backend.ts';
import type { KeyFiles } from './key-files.ts';
import { requireMasterKeys } from './master-keys.ts';
import { destroyScopes, lockVersions } from './sql/confirmed.ts';
import { insertPrevious, lead, recordDestroyed } from './sql/master-keys.ts';
import { destroyRootKey } from './sql/life-cycle.ts';
import { raiseEpoch } from './sql/scopes.ts';
import { forgetUses } from './sql/usage.ts';

export interface Applying {
  db: Db;
  backend: KeyBackend;
  files: KeyFiles;
}

export interface Destroyed {
  attributes: ReadonlyMap<string, string>;
  recordTime: Date | undefined;
}

const CALL_MS = 10_000;

const valuesOf = (entries: readonly Destroyed[], attribute: string): string[] => [
  ...new Set(entries.map(({ attributes }) => attributes.get(attribute) ?? '').filter((value) => value !== '')),
];

/**
 * Every destruction has raised the epoch once, so that after this it is higher than it has ever been: a replica that has run
 * all along may have cached what was there for a moment, under the very epoch that it would else come back to.
 */
const raiseBeyond = async (tx: Queryable, entries: readonly Destroyed[]): Promise<void> => {
  await raiseEpoch(tx, entries.length + 1);
};

const scopes = ({ db }: Applying, entries: readonly Destroyed[]): Promise<number> =>
  db.transaction(async (tx) => {
    const scopeUids = valuesOf(entries, 'scope');
    const count = await destroyScopes(tx, scopeUids);
    await forgetUses(tx, scopeUids);
    await raiseBeyond(tx, entries);
    return count;
  });

const rootKeys = ({ db, backend }: Applying, entries: readonly Destroyed[]): Promise<number> =>
  db.transaction(async (tx) => {
    const versions = await lockVersions(tx, valuesOf(entries, 'key'));
    for (const { key_uid: keyUid, version, ref } of versions) await backend.destroy({ keyUid, version, ref }, Date.now() + CALL_MS);
    for (const keyUid of new Set(versions.map((version) => version.key_uid))) await destroyRootKey(tx, keyUid);
    await raiseBeyond(tx, entries);
    return versions.length;
  });

/** A master key that was made after the backup: the database must know it, or nothing would ever destroy it. */
const newMasterKeys = ({ db, files }: Applying, entries: readonly Destroyed[]): Promise<number> =>
  db.transaction(async (tx) => {
    await lead(tx);
    const there = new Set(files.list());
    let count = 0;
    for (const { attributes, recordTime } of entries) {
      const id = attributes.get('masterKey') ?? '';
      if (there.has(id) && (await insertPrevious(tx, id, recordTime ?? new Date()))) count++;
    }
    return count;
  });

/** Also one that came back as a file. What is sealed under it does not open any more, and that is for the operator to know. */
const masterKeys = async ({ db, files }: Applying, entries: readonly Destroyed[]): Promise<number> => {
  const count = await db.transaction(async (tx) => {
    await lead(tx);
    let destroyed = 0;
    for (const id of valuesOf(entries, 'masterKey')) {
      await files.destroy(id);
      if (await recordDestroyed(tx, id)) destroyed++;
    }
    return destroyed;
  });
  await requireMasterKeys(db.read, files);
  return count;
};

/** By the action of the entries, in the order in which they are made. */
export const APPLY = {
  'keys.scope.destroy': scopes,
  'keys.rootkey.destroy': rootKeys,
  'keys.masterkey.rotate': newMasterKeys,
  'keys.masterkey.destroy': masterKeys,
} as const;
