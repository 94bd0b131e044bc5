// All living versions of a scope's key go the same way when what wraps them is replaced; a destroyed one goes nowhere.
import { describe, expect, it } from 'vitest';
import { destroyMasterKeys, renewRootKeys, rotateMasterKey } from '../../src/keys/epochs.ts';
import { destroyScopeKeyVersion } from '../../src/keys/rpc/destroy-scope-key-version.ts';
import { rotateScopeKey } from '../../src/keys/rpc/rotate-scope-key.ts';
import { callOf, newKeyDatabase, type KeyDatabase, type Replica, type Sealed } from '../support/key-service.ts';

const rotate = ({ keys }: Replica, { scope: { name } }: Sealed, expectedVersion: number) =>
  rotateScopeKey(keys, { name, expectedVersion, callContext: undefined }, callOf('keys.scope.rotate'));
const destroy = ({ keys }: Replica, { scope: { name } }: Sealed, version: number) =>
  destroyScopeKeyVersion(keys, { name, version, callContext: undefined }, callOf('keys.scope.version.destroy'));
const renew = async ({ options }: Replica): Promise<void> => {
  await rotateMasterKey(options, await options.masterKeys.current(), () => undefined);
  await renewRootKeys(options, () => false);
  await destroyMasterKeys(options);
};
/** By number, the root key version that wraps each living one. */
const wrappingsOf = async ({ scratch }: KeyDatabase, { scope: { name } }: Sealed): Promise<Record<number, number>> => {
  const text = 'select version, key_version from scope_versions where scope_uid = $1 and wrapped_key is not null';
  const rows = await scratch.sql<{ version: number; key_version: number }>(text, [name.slice('scopes/'.length)]);
  return Object.fromEntries(rows.map((row) => [row.version, row.key_version]));
};

describe('a purge epoch', () => {
  it('moves every living version of a scope’s key, so that what each of them wrapped opens after it', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const rootKey = await replica.newRootKey();
    const [one, other] = [await replica.newScope(rootKey), await replica.newScope(rootKey)];
    for (const version of [1, 2, 3]) await rotate(replica, one, version);
    await destroy(replica, one, 2);
    await renew(replica);
    expect(await wrappingsOf(database, one)).toEqual({ 1: 2, 3: 2, 4: 2 });
    expect(await wrappingsOf(database, other)).toEqual({ 1: 2 });
    for (const sealed of [one, other]) expect(await replica.opens(sealed)).toBe(true);
    expect(await database.scratch.sql('select version from root_key_versions where ref is not null')).toEqual([{ version: 2 }]);
  });

  it('goes on in the middle of a scope’s versions where there are more than fit one step', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const sealed = await replica.newScope(await replica.newRootKey());
    for (let version = 1; version <= 250; version++) await rotate(replica, sealed, version);
    await renew(replica);
    expect(new Set(Object.values(await wrappingsOf(database, sealed)))).toEqual(new Set([2]));
    expect(Object.keys(await wrappingsOf(database, sealed))).toHaveLength(251);
    expect(await replica.opens(sealed)).toBe(true);
  });

  it('beside rotations of scope keys loses none of them', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const rootKey = await replica.newRootKey();
    const sealed = await Promise.all(Array.from({ length: 10 }, () => replica.newScope(rootKey)));
    const rotateAll = async (): Promise<void> => {
      for (let version = 1; version <= 5; version++) await Promise.all(sealed.map((one) => rotate(replica, one, version)));
    };
    await Promise.all([rotateAll(), renew(replica)]);
    await renew(replica);
    for (const one of sealed) {
      expect(Object.keys(await wrappingsOf(database, one))).toHaveLength(6);
      expect(await replica.opens(one)).toBe(true);
    }
  });
});

describe('a version whose place in the table was given to another', () => {
  it('opens nothing: its number is bound into it', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const sealed = await replica.newScope(await replica.newRootKey());
    await rotate(replica, sealed, 1);
    await database.scratch.sql(
      'update scope_versions v set wrapped_key = o.wrapped_key from scope_versions o where o.version = 3 - v.version',
    );
    await expect(replica.opens(sealed)).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
  });
});
