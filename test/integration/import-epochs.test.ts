// Imported keys and the purge epoch: the material lives on, and opens nothing of what was destroyed; also while it is away.
import { randomUUID } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { destroyMasterKeys, renewRootKeys, rotateMasterKey } from '../../src/keys/epochs.ts';
import { proofMessage } from '../../src/keys/material.ts';
import { createImportJob } from '../../src/keys/rpc/create-import-job.ts';
import { importRootKeyVersion } from '../../src/keys/rpc/import-root-key-version.ts';
import { importRootKey } from '../../src/keys/rpc/import-root-key.ts';
import { reimportMaterial } from '../../src/keys/rpc/reimport-material.ts';
import { newMaterial, offerFor, RING } from '../support/import.ts';
import { callOf, newKeyDatabase, type KeyDatabase, type Replica } from '../support/key-service.ts';
import { backUp } from '../support/keys-tables.ts';
import { newId } from '../support/tenants.ts';

/** With a key ring whose keys the service itself may use. */
const newRingDatabase = async (): Promise<KeyDatabase> => {
  const database = await newKeyDatabase();
  await database.scratch.sql(`insert into key_rings (key_ring, ring_uid) values ('customer', gen_random_uuid())`);
  const grant = `insert into grants (grant_uid, principal, instance, target, role, created_by) values (gen_random_uuid(), $1, 'instances/-', $2, 'READER', $1)`;
  await database.scratch.sql(grant, [spiffeIdOf('keys'), RING]);
  return database;
};
const newJob = ({ keys }: Replica) =>
  createImportJob(
    keys,
    { parent: RING, importJobId: newId('j'), ttl: undefined, correlationId: '' },
    { ...callOf('keys.importjob.create'), deadline: Date.now() + 60_000 },
  );
const importKey = async (replica: Replica, material: Buffer, expireTime?: Date) => {
  const [owner, job] = [randomUUID(), await newJob(replica)];
  const request = { parent: RING, rootKeyId: newId('k'), material: offerFor(job, material, expireTime), correlationId: '' };
  return { name: (await importRootKey(replica.keys, request, callOf('keys.rootkey.import'))).name, owner };
};
const addVersion = async (replica: Replica, name: string, material: Buffer, expireTime?: Date) => {
  const request = { name, material: offerFor(await newJob(replica), material, expireTime), correlationId: '' };
  return importRootKeyVersion(replica.keys, request, callOf('keys.rootkey.version.import'));
};
const bringBackMaterial = async (replica: Replica, name: string, version: number, material: Buffer) => {
  const request = { name, version, material: offerFor(await newJob(replica), material), correlationId: '' };
  return reimportMaterial(replica.keys, request, callOf('keys.rootkey.material.import'));
};
const expireNow = async ({ scratch }: KeyDatabase, replica: Replica, version: number) => {
  await scratch.sql('update root_key_versions set material_expire_time = now() where version = $1', [version]);
  await replica.expire();
};
const nextEpoch = async (replica: Replica): Promise<string> => {
  await rotateMasterKey(replica.options, await replica.options.masterKeys.current(), () => undefined);
  await renewRootKeys(replica.options, () => false);
  await destroyMasterKeys(replica.options);
  await replica.options.masterKeys.refresh();
  return replica.options.masterKeys.current();
};
const versionsOf = ({ scratch }: KeyDatabase) =>
  scratch.sql<Record<string, unknown>>(`select version, origin, ref is not null as there, material_forget_time is not null as forgotten
    from root_key_versions order by version`);

describe('a purge epoch', () => {
  it('renews an imported key with another pepper, and with that no older backup opens, whoever has the material', async () => {
    await using database = await newRingDatabase();
    const replica = await database.open();
    const material = newMaterial();
    const key = await importKey(replica, material);
    const sealed = await replica.newScope(key);
    const before = await backUp(database.scratch);
    const id = await nextEpoch(replica);
    expect(readdirSync(database.dir)).toEqual([`${id}.key`]);
    expect(await replica.opens(sealed)).toBe(true);
    expect(await versionsOf(database)).toEqual([
      { version: 1, origin: 'IMPORTED', there: false, forgotten: false },
      { version: 2, origin: 'RENEWED', there: true, forgotten: false },
    ]);
    const values = await database.scratch.sql<{ values: number }>(
      'select count(distinct check_value)::int as values from root_key_versions',
    );
    expect(values).toEqual([{ values: 1 }]);

    // What a backup from before has, put back into today's database: its own reference is under a master key that is gone, and
    // to a pepper of today the old scope key does not open, although the material is the very same.
    const [scope] = JSON.parse(before['scope_versions']!) as [{ wrapped_key: string }];
    const [version] = JSON.parse(before['root_key_versions']!) as [{ key_uid: string; ref: string }];
    const putBack = (ref: Buffer | string) =>
      database.scratch.sql(
        `with v as (update root_key_versions set ref = $1, destroy_time = null where version = 1)
        update scope_versions set key_version = 1, wrapped_key = $2`,
        [ref, scope.wrapped_key],
      );
    await putBack(version.ref);
    await expect(replica.opens(sealed)).rejects.toMatchObject({ reason: 'KEYS_UNAVAILABLE' });
    const [job, keyUid] = [await newJob(replica), version.key_uid];
    const [row] = await database.scratch.sql<{ job_uid: string; sealed_key: Buffer }>(
      'select job_uid, sealed_key from import_jobs where sealed_key is not null',
    );
    const offer = { ...offerFor(job, material), message: proofMessage(job.name, job.nonce) };
    const forged = await replica.keys.backend.importMaterial(
      { jobUid: row!.job_uid, sealed: row!.sealed_key },
      offer,
      { keyUid, version: 1 },
      0,
    );
    await putBack(forged.ref);
    await expect(replica.opens(sealed)).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
  });

  it('ends also while material is away: what is left of it goes under the new master key, and it can come back', async () => {
    await using database = await newRingDatabase();
    const replica = await database.open();
    const material = newMaterial();
    const key = await importKey(replica, material);
    const sealed = await replica.newScope(key);
    await expireNow(database, replica, 1);
    await expect(replica.opens(sealed)).rejects.toMatchObject({ reason: 'KEY_MATERIAL_EXPIRED' });
    for (let i = 0; i < 2; i++) {
      const id = await nextEpoch(replica);
      expect(readdirSync(database.dir)).toEqual([`${id}.key`]);
    }
    expect(await versionsOf(database)).toEqual([{ version: 1, origin: 'IMPORTED', there: true, forgotten: true }]);
    await bringBackMaterial(replica, key.name, 1, material);
    expect(await replica.opens(sealed)).toBe(true);
    await nextEpoch(replica);
    expect(await replica.opens(sealed)).toBe(true);
    expect(await versionsOf(database)).toMatchObject([{ there: false }, { version: 2, origin: 'RENEWED', there: true }]);
  });

  it('moves scopes to the primary version, or past it while its material is away', async () => {
    await using database = await newRingDatabase();
    const replica = await database.open();
    const [first, second] = [newMaterial(), newMaterial()];
    const key = await importKey(replica, first);
    const old = await replica.newScope(key);
    await addVersion(replica, key.name, second);
    const recent = await replica.newScope(key);
    await expireNow(database, replica, 2);
    await nextEpoch(replica);
    expect(await replica.opens(old)).toBe(true);
    await expect(replica.opens(recent)).rejects.toMatchObject({ reason: 'KEY_MATERIAL_EXPIRED' });
    const primary = await database.scratch.sql('select primary_version from root_keys');
    expect(primary).toEqual([{ primary_version: 2 }]);
    await bringBackMaterial(replica, key.name, 2, second);
    await nextEpoch(replica);
    for (const one of [old, recent]) expect(await replica.opens(one)).toBe(true);
    const left = (await versionsOf(database)).filter(({ there }) => there === true);
    expect(left).toHaveLength(1);
  });

  it('keeps the import jobs that are under way', async () => {
    await using database = await newRingDatabase();
    const replica = await database.open();
    const job = await newJob(replica);
    const id = await nextEpoch(replica);
    expect(readdirSync(database.dir)).toEqual([`${id}.key`]);
    const owner = randomUUID();
    const request = { parent: RING, rootKeyId: newId('k'), material: offerFor(job, newMaterial()), correlationId: '' };
    const { name } = await importRootKey(replica.keys, request, callOf('keys.rootkey.import'));
    expect(await replica.opens(await replica.newScope({ name, owner }))).toBe(true);
  });

  it('ends an import job whose key was damaged, rather than to wait for it', async () => {
    await using database = await newRingDatabase();
    const replica = await database.open();
    await newJob(replica);
    await database.scratch.sql('update import_jobs set sealed_key = set_byte(sealed_key, 100, 255 - get_byte(sealed_key, 100))');
    const id = await nextEpoch(replica);
    expect(readdirSync(database.dir)).toEqual([`${id}.key`]);
    expect(await database.scratch.sql('select state from import_jobs')).toEqual([{ state: 'EXPIRED' }]);
  });
});

describe('a replica', () => {
  it('forgets what has expired once, with one entry, however many look', async () => {
    await using database = await newRingDatabase();
    const replicas = await Promise.all([database.open(), database.open(), database.open()]);
    const key = await importKey(replicas[0], newMaterial());
    await database.scratch.sql('update root_key_versions set material_expire_time = now()');
    await database.scratch.sql(
      `update import_jobs set state = 'ACTIVE', sealed_key = '\\x00', spent_key_uid = null, spent_digest = null, expire_time = now()`,
    );
    await Promise.all(replicas.map((replica) => replica.expire()));
    await Promise.all(replicas.map(({ keys }) => keys.relay.flush()));
    const told = database.told.filter(({ action }) => action.endsWith('.expire')).map(({ action, resource }) => `${action} ${resource}`);
    expect(told.sort()).toEqual([
      expect.stringContaining(`keys.importjob.expire ${RING}/importJobs/`),
      `keys.rootkey.material.expire ${key.name}`,
    ]);
  });

  it('that is killed while it takes material in has taken all of it or nothing, and the same call ends it', async () => {
    await using database = await newRingDatabase();
    const replica = await database.open();
    const [job, material, owner] = [await newJob(replica), newMaterial(), randomUUID()];
    const request = { parent: RING, rootKeyId: newId('k'), material: offerFor(job, material), correlationId: '' };
    const call = (keys: Replica['keys']) => importRootKey(keys, request, callOf('keys.rootkey.import'));
    for (const statement of ['keys.importMaterial', 'keys.insertRootKey', 'keys.spendImportJob', 'outbox.insert', 'before commit']) {
      const { db } = replica.keys;
      const dying: typeof db = {
        ...db,
        transaction: (work) =>
          db.transaction(async (tx) => {
            const die = ({ name }: { name: string }): void => {
              if (name === statement) throw new Error('killed');
            };
            const query: typeof tx.query = async (sent) => (die(sent), tx.query(sent));
            const send: typeof tx.send = (sent) => (die(sent), tx.send(sent));
            const result = await work({ ...tx, query, send });
            if (statement === 'before commit') throw new Error('killed');
            return result;
          }),
      };
      const backend: typeof replica.keys.backend = {
        ...replica.keys.backend,
        importMaterial: async (...given) => {
          const done = await replica.keys.backend.importMaterial(...given);
          if (statement === 'keys.importMaterial') throw new Error('killed');
          return done;
        },
      };
      await expect(call({ ...replica.keys, db: dying, backend })).rejects.toThrow('killed');
      expect(await database.scratch.sql('select state, attempts_left from import_jobs'), statement).toEqual([
        { state: 'ACTIVE', attempts_left: 5 },
      ]);
      expect(await database.scratch.sql('select 1 from root_keys'), statement).toEqual([]);
    }
    const { name } = await call(replica.keys);
    // Killed after the commit: the answer was lost, and the next replica gives it.
    expect((await call((await database.open()).keys)).name).toBe(name);
    expect(await replica.opens(await replica.newScope({ name, owner }))).toBe(true);
  });
});
