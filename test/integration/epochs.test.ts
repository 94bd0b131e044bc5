// Master keys and the purge epoch on real tables and files: what is alive opens all the time, and what was destroyed opens
// with no older backup once its epoch has ended.
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { advance, destroyMasterKeys, renewRootKeys, rotateMasterKey } from '../../src/keys/epochs.ts';
import { masterKeyId, openKeyFiles } from '../../src/keys/key-files.ts';
import { rotateMasterKey as rotateByCall } from '../../src/keys/rpc/rotate-master-key.ts';
import { callOf, newKeyDatabase, type KeyDatabase, type Replica } from '../support/key-service.ts';
import { backUp, bringBack } from '../support/keys-tables.ts';

const currentOf = ({ options }: Replica): Promise<string> => options.masterKeys.current();
const quietly = () => undefined;
const rotate = async (replica: Replica): Promise<string> => {
  await rotateMasterKey(replica.options, await currentOf(replica), quietly);
  return currentOf(replica);
};
const renew = ({ options }: Replica): Promise<boolean> => renewRootKeys(options, () => false);
const filesIn = ({ dir }: KeyDatabase): string[] => readdirSync(dir).sort();
const statesIn = async ({ scratch }: KeyDatabase): Promise<Record<string, string>> =>
  Object.fromEntries((await scratch.sql<{ id: string; state: string }>('select id, state from master_keys')).map((r) => [r.id, r.state]));
const actions = ({ told }: KeyDatabase): string[] => told.map(({ action }) => action).filter((action) => !action.endsWith('create'));

describe('the first start', () => {
  it('makes one key, for its owner only, that the next start and other replicas find', async () => {
    await using database = await newKeyDatabase();
    const replicas = await Promise.all([database.open(), database.open(), database.open()]);
    const id = await currentOf(replicas[0]);
    expect(await Promise.all(replicas.map(currentOf))).toEqual([id, id, id]);
    expect(filesIn(database)).toEqual([`${id}.key`]);
    const file = join(database.dir, `${id}.key`);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(masterKeyId(readFileSync(file))).toBe(id);
    expect(await statesIn(database)).toEqual({ [id]: 'CURRENT' });
  });

  it.each([
    ['others can look into the folder', (dir: string) => chmodSync(dir, 0o750), /chmod 700/],
    ['others can read a key', (dir: string) => chmodSync(join(dir, readdirSync(dir)[0]!), 0o640), /chmod 600/],
    ['there is something else in the folder', (dir: string) => writeFileSync(join(dir, 'notes.txt'), ''), /notes\.txt/],
    ['the folder is not there', (dir: string) => rmSync(dir, { recursive: true }), /cannot be used/],
    [
      'the folder is empty, although there was a key',
      (dir: string) => rmSync(join(dir, readdirSync(dir)[0]!)),
      /[0-9a-f]{16}\.key is not there/,
    ],
    [
      'a key is another one than its name says',
      (dir: string) => writeFileSync(join(dir, readdirSync(dir)[0]!), randomBytes(32), { mode: 0o600 }),
      /another key than its name says/,
    ],
    ['a key is short', (dir: string) => writeFileSync(join(dir, readdirSync(dir)[0]!), randomBytes(31)), /31 bytes/],
  ])('is refused when %s', async (_, spoil, message) => {
    await using database = await newKeyDatabase();
    await database.open();
    spoil(database.dir);
    await expect(database.open()).rejects.toThrow(message);
  });

  it('is refused with keys that the database knows nothing of: it may be the wrong one', async () => {
    await using database = await newKeyDatabase();
    const key = randomBytes(32);
    writeFileSync(join(database.dir, `${masterKeyId(key)}.key`), key, { mode: 0o600 });
    await expect(database.open()).rejects.toThrow(masterKeyId(key));
    expect(await statesIn(database)).toEqual({});
  });
});

describe('a rotation', () => {
  it('renews every root key while all of them open, and ends with the old key destroyed and all of it told', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const old = await currentOf(replica);
    const rootKeys = await Promise.all(Array.from({ length: 5 }, () => replica.newRootKey()));
    const sealed = await Promise.all([...rootKeys, ...rootKeys, rootKeys[0]!].map((rootKey) => replica.newScope(rootKey)));
    const id = await rotate(replica);
    expect(await statesIn(database)).toEqual({ [old]: 'PREVIOUS', [id]: 'CURRENT' });
    for (const one of sealed) expect(await replica.opens(one)).toBe(true);
    expect(await renew(replica)).toBe(true);
    await destroyMasterKeys(replica.options);
    expect(await statesIn(database)).toEqual({ [old]: 'DESTROYED', [id]: 'CURRENT' });
    expect(filesIn(database)).toEqual([`${id}.key`]);
    await replica.options.masterKeys.refresh();
    for (const one of sealed) expect(await replica.opens(one)).toBe(true);
    await replica.keys.relay.flush();
    const renewals = Array.from({ length: 5 }, () => 'keys.rootkey.rotate');
    expect(actions(database)).toEqual(['keys.masterkey.rotate', ...renewals, 'keys.masterkey.destroy']);
    const left = await database.scratch.sql(`select version, sealed_by from root_key_versions where ref is not null`);
    expect(left).toEqual(renewals.map(() => ({ version: 2, sealed_by: id })));
    expect(await database.scratch.sql('select distinct key_version from scope_versions')).toEqual([{ key_version: 2 }]);
  });

  it('happens on its schedule, and keeps the old key for as long as configured after it was last needed', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open({ rotateEveryMs: 3_600_000, keepForMs: 600_000 });
    const sealed = await replica.newScope(await replica.newRootKey());
    const old = await currentOf(replica);
    const step = () => advance(replica.options, () => false);
    expect(await step()).toBe(60_000);
    expect(await currentOf(replica)).toBe(old);
    await database.scratch.sql(`update master_keys set create_time = create_time - interval '1 hour'`);
    await step();
    expect(await currentOf(replica)).not.toBe(old);
    await database.scratch.sql(`update master_keys set empty_time = empty_time - interval '599 seconds' where id = $1`, [old]);
    const wait = await step();
    expect(wait).toBeGreaterThanOrEqual(50);
    expect(wait).toBeLessThanOrEqual(1_000);
    expect(existsSync(join(database.dir, `${old}.key`))).toBe(true);
    await database.scratch.sql(`update master_keys set empty_time = empty_time - interval '1 second' where id = $1`, [old]);
    await step();
    expect(existsSync(join(database.dir, `${old}.key`))).toBe(false);
    expect(await replica.opens(sealed)).toBe(true);
  });

  it('asked for twice is done once', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const old = await currentOf(replica);
    await Promise.all([1, 2, 3].map(() => rotateMasterKey(replica.options, old, quietly)));
    expect(Object.keys(await statesIn(database))).toHaveLength(2);
    await expect(rotateMasterKey(replica.options, 'f'.repeat(16), quietly)).rejects.toMatchObject({ reason: 'NOT_FOUND' });
  });

  it('destroys no key under which something is left, and holds nothing else up for it', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const [damaged, whole] = [await replica.newScope(await replica.newRootKey()), await replica.newScope(await replica.newRootKey())];
    const uid = damaged.scope.name.slice('scopes/'.length);
    const flip = `update scope_versions set wrapped_key = set_byte(wrapped_key, 50, 255 - get_byte(wrapped_key, 50)) where scope_uid = $1`;
    await database.scratch.sql(flip, [uid]);
    const old = await currentOf(replica);
    await rotate(replica);
    await renew(replica);
    await destroyMasterKeys(replica.options);
    expect((await statesIn(database))[old]).toBe('PREVIOUS');
    const left = await database.scratch.sql('select version from root_key_versions where ref is not null and sealed_by = $1', [old]);
    expect(left).toHaveLength(1);
    expect(await replica.opens(whole)).toBe(true);
    // Mended, it is moved like the others, and its key goes.
    await database.scratch.sql(flip, [uid]);
    await renew(replica);
    await destroyMasterKeys(replica.options);
    expect((await statesIn(database))[old]).toBe('DESTROYED');
    expect(await replica.opens(damaged)).toBe(true);
  });

  it('begun before the last one has ended takes over what that has left', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const sealed = await replica.newScope(await replica.newRootKey());
    await rotate(replica);
    await rotate(replica);
    const id = await rotate(replica);
    await renew(replica);
    await destroyMasterKeys(replica.options);
    expect(filesIn(database)).toEqual([`${id}.key`]);
    expect(await replica.opens(sealed)).toBe(true);
  });

  it('beside replicas that create and read all the time fails none of their calls', async () => {
    await using database = await newKeyDatabase();
    const [one, two, three] = [await database.open(), await database.open(), await database.open()];
    const sealed = [await two.newScope(await two.newRootKey())];
    let running = true;
    const use = async (replica: Replica): Promise<void> => {
      while (running) {
        if (sealed.length < 60) sealed.push(await replica.newScope(await replica.newRootKey()));
        expect(await replica.opens(sealed[Math.floor(Math.random() * sealed.length)]!)).toBe(true);
      }
    };
    const users = [use(two), use(three)];
    for (let i = 0; i < 8; i++) {
      await rotate(one);
      // Two at it, in turns.
      for (let done = false; !done;) done = (await Promise.all([renew(one), renew(two)])).includes(true);
    }
    running = false;
    await Promise.all(users);
    await rotate(one);
    await renew(one);
    await new Promise((resolve) => setTimeout(resolve, 10));
    await destroyMasterKeys(one.options);
    for (const replica of [one, two, three]) await replica.options.masterKeys.refresh();
    expect(filesIn(database)).toHaveLength(1);
    for (const each of sealed) expect(await three.opens(each)).toBe(true);
    expect(sealed.length).toBeGreaterThan(10);
  });

  it('does nothing while the folder is away, and reads go on', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const sealed = await replica.newScope(await replica.newRootKey());
    const old = await currentOf(replica);
    const away = `${database.dir}.away`;
    renameSync(database.dir, away);
    await expect(rotate(replica)).rejects.toThrow(/could not be written/);
    await expect(rotate(replica)).rejects.toThrow();
    expect(await currentOf(replica)).toBe(old);
    expect(await replica.opens(sealed)).toBe(true);
    const asked = rotateByCall(replica.keys, { currentId: old, correlationId: '' }, callOf('keys.masterkey.rotate'));
    await expect(asked).rejects.toMatchObject({ reason: 'KEYS_UNAVAILABLE', message: expect.not.stringContaining(database.dir) as string });
    renameSync(away, database.dir);
    const id = await rotate(replica);
    await renew(replica);
    // An empty folder is not one from which a key is gone.
    renameSync(database.dir, away);
    const empty = mkdtempSync(join(tmpdir(), 'strongroom-keys-'));
    await expect(destroyMasterKeys({ ...replica.options, files: openKeyFiles(empty) })).rejects.toThrow();
    rmSync(empty, { recursive: true });
    renameSync(away, database.dir);
    expect((await statesIn(database))[old]).toBe('PREVIOUS');
    await destroyMasterKeys(replica.options);
    expect(filesIn(database)).toEqual([`${id}.key`]);
    expect(await replica.opens(sealed)).toBe(true);
  });

  it('destroys a key again that comes back as a file', async () => {
    await using database = await newKeyDatabase();
    const replica = await database.open();
    const old = await currentOf(replica);
    const copy = readFileSync(join(database.dir, `${old}.key`));
    const id = await rotate(replica);
    await renew(replica);
    await destroyMasterKeys(replica.options);
    writeFileSync(join(database.dir, `${old}.key`), copy, { mode: 0o600 });
    await destroyMasterKeys(replica.options);
    expect(filesIn(database)).toEqual([`${id}.key`]);
  });
});

describe('a backup of the keys database', () => {
  it('from before the end of an epoch opens nothing: not with today’s folder, and not with today’s root keys', async () => {
    await using database = await newKeyDatabase();
    await using restored = await newKeyDatabase();
    await using later = await newKeyDatabase();
    const replica = await database.open();
    const sealed = await replica.newScope(await replica.newRootKey());
    const old = await currentOf(replica);
    const before = await backUp(database.scratch);
    const id = await rotate(replica);
    await renew(replica);
    await destroyMasterKeys(replica.options);
    const after = await backUp(database.scratch);

    await bringBack(restored.scratch, before);
    const opening = restored.open({ files: openKeyFiles(database.dir) });
    await expect(opening).rejects.toThrow(new RegExp(`${old}\\.key is not there.*backup that nothing opens any more`));

    // Even with the living root key in hand: it is of other material than the one in the backup.
    const [scope] = await restored.scratch.sql<{ wrapped_key: Buffer }>('select wrapped_key from scope_versions');
    const [key] = await database.scratch.sql<{ key_uid: string; version: number; ref: Buffer }>(
      'select key_uid, version, ref from root_key_versions where ref is not null',
    );
    expect(key).toMatchObject({ version: 2 });
    for (const version of [1, 2]) {
      const rootKey = { keyUid: key!.key_uid, version, ref: key!.ref };
      const context = Buffer.concat([Buffer.from('strongroom/scope/v2\0'), contextOf(rootKey, sealed.scope)]);
      await expect(replica.keys.backend.unwrap(rootKey, scope!.wrapped_key, context, 0)).rejects.toMatchObject({
        reason: 'DATA_CORRUPTED',
      });
    }

    await bringBack(later.scratch, after);
    const again = await later.open({ files: openKeyFiles(database.dir) });
    expect(await currentOf(again)).toBe(id);
    expect(await again.opens(sealed)).toBe(true);
  });
});

const contextOf = (
  { keyUid, version }: { keyUid: string; version: number },
  { name, instanceUid }: { name: string; instanceUid: string },
) => {
  const uuid = (text: string) => Buffer.from(text.replaceAll('-', ''), 'hex');
  const number = Buffer.alloc(4);
  number.writeUInt32BE(version);
  return Buffer.concat([uuid(keyUid), number, uuid(name.slice('scopes/'.length)), uuid(instanceUid), Buffer.of(0, 0, 0, 1)]);
};
