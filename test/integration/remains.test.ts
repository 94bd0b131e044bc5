// What PostgreSQL keeps of a wrapped scope key after it was destroyed, looked for in its files: what is said of it in
// src/keys/README.md is so.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, inject, it } from 'vitest';
import type { AppError } from '../../src/kernel/errors.ts';
import { destroyMasterKeys, renewRootKeys, rotateMasterKey } from '../../src/keys/epochs.ts';
import { destroyScopes } from '../../src/keys/sql/scopes.ts';
import { newKeyDatabase, type KeyDatabase, type Replica, type Sealed } from '../support/key-service.ts';
import { dataOf } from '../support/stack.ts';

const stack = inject('stack');

const inTable = async ({ scratch }: KeyDatabase, bytes: Buffer): Promise<boolean> => {
  await scratch.sql('checkpoint');
  const [row] = await scratch.sql<{ path: string }>(`select pg_relation_filepath('scope_versions') as path`);
  return readFileSync(join(dataOf(stack), row!.path)).includes(bytes);
};
/** Record headers may split what spans a page, so one half is enough. */
const inWal = (bytes: Buffer): boolean => {
  const folder = join(dataOf(stack), 'pg_wal');
  const segments = readdirSync(folder).filter((name) => /^[0-9A-F]{24}$/.test(name));
  return segments.some((name) => {
    const wal = readFileSync(join(folder, name));
    return wal.includes(bytes.subarray(0, 56)) || wal.includes(bytes.subarray(56));
  });
};

const uidOf = ({ scope }: Sealed): string => scope.name.slice('scopes/'.length);
const wrappedKeyOf = async ({ scratch }: KeyDatabase, sealed: Sealed): Promise<Buffer> => {
  const text = 'select wrapped_key from scope_versions where scope_uid = $1';
  return (await scratch.sql<{ wrapped_key: Buffer }>(text, [uidOf(sealed)]))[0]!.wrapped_key;
};
const destroy = (replica: Replica, sealed: Sealed): Promise<number> =>
  replica.keys.db.transaction((tx) => destroyScopes(tx, [uidOf(sealed)]));

describe('a wrapped scope key that was destroyed', () => {
  it('is in the table’s file right after it, and a plain vacuum lets its neighbours move over it', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const rootKey = await replica.newRootKey();
    const [one, ...others] = [await replica.newScope(rootKey), await replica.newScope(rootKey), await replica.newScope(rootKey)];
    const wrapped = await wrappedKeyOf(database, one);
    expect(await inTable(database, wrapped)).toBe(true);
    await destroy(replica, one);
    expect(await inTable(database, wrapped)).toBe(true);
    await database.scratch.sql('vacuum scope_versions');
    expect(await inTable(database, wrapped)).toBe(false);
    for (const other of others) expect(await replica.opens(other)).toBe(true);
  });

  it('can stay in the free space of its page after a plain vacuum; only a full one is sure to take it out of the table', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const rootKey = await replica.newRootKey();
    const sealed: Sealed[] = [];
    for (let i = 0; i < 60; i++) sealed.push(await replica.newScope(rootKey));
    const doomed = sealed.slice(0, 50);
    const wrapped = await Promise.all(doomed.map((each) => wrappedKeyOf(database, each)));
    const still = async (): Promise<boolean> => {
      for (const each of wrapped) if (await inTable(database, each)) return true;
      return false;
    };
    // All at once: of the first page, which was full, nothing lives on to move over the others.
    await replica.keys.db.transaction((tx) => destroyScopes(tx, doomed.map(uidOf)));
    expect(await still()).toBe(true);
    await database.scratch.sql('vacuum scope_versions');
    expect(await still()).toBe(true);
    await database.scratch.sql('vacuum full scope_versions');
    expect(await still()).toBe(false);
    for (const other of sealed.slice(50)) expect(await replica.opens(other)).toBe(true);
  });

  it('is in the write-ahead log, and opens no more once its epoch has ended', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const rootKey = await replica.newRootKey();
    const [destroyed, kept] = [await replica.newScope(rootKey), await replica.newScope(rootKey)];
    const wrapped = await wrappedKeyOf(database, destroyed);
    await destroy(replica, destroyed);
    expect(inWal(wrapped)).toBe(true);
    const found = async (): Promise<string> => {
      // Whoever has found the bytes puts them back, with all that the database has today.
      const text = `with back as (update scopes set destroy_time = null where scope_uid = $1)
        update scope_versions set wrapped_key = $2, destroy_time = null, key_version = $3 where scope_uid = $1`;
      for (const { version } of await database.scratch.sql<{ version: number }>(
        'select version from root_key_versions where ref is not null',
      )) {
        await database.scratch.sql(text, [uidOf(destroyed), wrapped, version]);
        const result = await replica.opens(destroyed).then(String, (error: AppError) => error.reason);
        await destroy(replica, destroyed);
        if (result === 'true') return 'opened';
      }
      return 'closed';
    };
    expect(await found()).toBe('opened');
    await rotateMasterKey(replica.options, await replica.options.masterKeys.current(), () => undefined);
    await renewRootKeys(replica.options, () => false);
    await destroyMasterKeys(replica.options);
    expect(await found()).toBe('closed');
    expect(await replica.opens(kept)).toBe(true);
  });
});
