// What the audit log tells of destructions and revocations, made again: once more or for the first time, it comes to the same.
import type { Db, Queryable } from '../kernel/db.ts';
import type { KeyBackend } from './backend.ts';
import type { KeyFiles } from './key-files.ts';
import { requireMasterKeys } from './master-keys.ts';
import { disableRootKeys, lockVersions, removeGrants } from './sql/confirmed.ts';
import { insertPrevious, lead, recordDestroyed } from './sql/master-keys.ts';
import { destroyRootKey } from './sql/life-cycle.ts';
import { destroyScopeVersions } from './sql/scope-versions.ts';
import { destroyScopes, raiseEpoch } from './sql/scopes.ts';
import { forgetUses } from './sql/usage.ts';

export interface Applying {
  db: Db;
  backend: KeyBackend;
  files: KeyFiles;
}

export interface Recorded {
  index: bigint;
  attributes: ReadonlyMap<string, string>;
  recordTime: Date | undefined;
}

const CALL_MS = 10_000;

const valuesOf = (entries: readonly Recorded[], attribute: string): string[] => [
  ...new Set(entries.map(({ attributes }) => attributes.get(attribute) ?? '').filter((value) => value !== '')),
];

/**
 * Every destruction has raised the epoch once, so that after this it is higher than it has ever been: a replica that has run
 * all along may have cached what was there for a moment, under the very epoch that it would else come back to.
 */
const raiseBeyond = async (tx: Queryable, entries: readonly Recorded[]): Promise<void> => {
  await raiseEpoch(tx, entries.length + 1);
};

const scopes = ({ db }: Applying, entries: readonly Recorded[]): Promise<number> =>
  db.transaction(async (tx) => {
    const scopeUids = valuesOf(entries, 'scope');
    const count = await destroyScopes(tx, scopeUids);
    await forgetUses(tx, scopeUids);
    await raiseBeyond(tx, entries);
    return count;
  });

/** Also of a version that is primary here, because the one after it came later than the backup. */
const scopeVersions = ({ db }: Applying, entries: readonly Recorded[]): Promise<number> =>
  db.transaction(async (tx) => {
    const named = entries.map(({ attributes }) => ({
      scopeUid: attributes.get('scope') ?? '',
      version: Number(attributes.get('version')),
    }));
    const count = await destroyScopeVersions(
      tx,
      named.filter(({ scopeUid, version }) => scopeUid !== '' && version > 0),
    );
    await raiseBeyond(tx, entries);
    return count;
  });

/** A rotation takes nothing away and cannot be made again, but it has raised the epoch too. */
const rotations = async ({ db }: Applying, entries: readonly Recorded[]): Promise<number> => {
  await db.transaction((tx) => raiseBeyond(tx, entries));
  return 0;
};

const rootKeys = ({ db, backend }: Applying, entries: readonly Recorded[]): Promise<number> =>
  db.transaction(async (tx) => {
    const versions = await lockVersions(tx, valuesOf(entries, 'key'));
    for (const { key_uid: keyUid, version, ref } of versions) await backend.destroy({ keyUid, version, ref }, Date.now() + CALL_MS);
    for (const keyUid of new Set(versions.map((version) => version.key_uid))) await destroyRootKey(tx, keyUid);
    await raiseBeyond(tx, entries);
    return versions.length;
  });

/** Expired material is of no use in an older database either, and the watch over it forgets it; what is left is the epoch. */
const expiredMaterial = ({ db }: Applying, entries: readonly Recorded[]): Promise<number> =>
  db.transaction(async (tx) => {
    await raiseBeyond(tx, entries);
    return 0;
  });

const grants = ({ db }: Applying, entries: readonly Recorded[]): Promise<number> =>
  db.transaction(async (tx) => {
    const count = await removeGrants(tx, valuesOf(entries, 'grant'));
    await raiseBeyond(tx, entries);
    return count;
  });

/** Also those whose destruction was scheduled: who wanted it has to ask for it again. */
export const disable = ({ db }: Applying, keyUids: readonly string[]): Promise<number> =>
  db.transaction(async (tx) => {
    const count = await disableRootKeys(tx, keyUids);
    await raiseEpoch(tx, keyUids.length + 1);
    return count;
  });

/** Changes of a root key's state, and whether they take it away. */
export const STATES: Readonly<Record<string, boolean>> = {
  'keys.rootkey.disable': true,
  'keys.rootkey.delete': true,
  'keys.rootkey.enable': false,
  'keys.rootkey.restore': true,
};

/** A master key that was made after the backup: the database must know it, or nothing would ever destroy it. */
const newMasterKeys = ({ db, files }: Applying, entries: readonly Recorded[]): Promise<number> =>
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
const masterKeys = async ({ db, files }: Applying, entries: readonly Recorded[]): Promise<number> => {
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
  'keys.scope.version.destroy': scopeVersions,
  'keys.scope.rotate': rotations,
  'keys.rootkey.destroy': rootKeys,
  'keys.rootkey.material.expire': expiredMaterial,
  'keys.grant.delete': grants,
  'keys.masterkey.rotate': newMasterKeys,
  'keys.masterkey.destroy': masterKeys,
} as const;
