// A secret that is moved to another group: what moves with it, who may do it, what is in its way, and what readers and writers see.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { Instance, RetentionPolicy } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { clientsOf, refusalOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app')];
afterAll(() => [operator, app].forEach((clients) => clients[Symbol.dispose]()));
const { access, groups, holds, instances, moves, secrets } = operator;
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
});

const newGroup = async () => (await groups.createSecretGroup({ parent: tenant.instance, secretGroupId: newId('g'), ...fresh() })).name;
const newSecret = async (value = 'one', parent = tenant.group) =>
  (await secrets.createSecret({ parent, secretId: newId('s'), payload: text(value), ...fresh() })).name;
const add = (parent: string, value: string) => secrets.addSecretVersion({ parent, payload: text(value), ...fresh() });
const move = (name: string, destinationParent: string, etag = '') => moves.moveSecret({ name, destinationParent, etag, ...fresh() });
const read = async (name: string, version: number | string = 'latest') =>
  (await access.accessSecretVersion({ name: `${name}/versions/${version}` })).payload?.value?.value;

describe('a secret that is moved', () => {
  it('is under its new name all that it was under the old one, which is nothing any more', async () => {
    const name = await newSecret('one');
    for (const value of ['two', 'three', 'four']) await add(name, value);
    await secrets.disableSecretVersion({ name: `${name}/versions/2`, ...fresh() });
    await secrets.destroySecretVersion({ name: `${name}/versions/3`, ...fresh() });
    await secrets.updateSecret({ secret: Secret.fromPartial({ name, description: 'ours', labels: new Map([['a', 'b']]) }), ...fresh() });
    const before = await secrets.getSecret({ name });
    const { etag } = await access.accessSecretVersion({ name: `${name}/versions/1` });
    const group = await newGroup();

    const moved = await move(name, group, before.etag);
    expect(moved).toEqual({
      ...before,
      usage: undefined,
      name: `${group}/secrets/${name.split('/').at(-1)}`,
      etag: moved.etag,
      updateTime: moved.updateTime,
    });
    expect(moved.etag).not.toBe(before.etag);
    expect(await secrets.getSecret({ name: moved.name })).toMatchObject({ ...moved, usage: { versionCount: 3n } });
    expect([await read(moved.name, 1), await read(moved.name)]).toEqual(['one', 'four']);
    await secrets.enableSecretVersion({ name: `${moved.name}/versions/2`, ...fresh() });
    expect(await read(moved.name, 2)).toBe('two');
    expect(await refusalOf(read(moved.name, 3))).toMatchObject({ reason: 'VERSION_DESTROYED' });
    const known = await access.accessSecretVersion({ name: `${moved.name}/versions/1`, ifNoneMatch: etag });
    expect(known.notModified).toBe(true);
    await add(moved.name, 'five');
    expect(await read(moved.name)).toBe('five');
    expect(await refusalOf(read(name))).toMatchObject({ reason: 'NOT_FOUND' });
    expect(await refusalOf(secrets.getSecret({ name }))).toMatchObject({ reason: 'NOT_FOUND' });
  });

  it('outlives the group that it has left, and goes with the one that it is in', async () => {
    const [from, to] = [await newGroup(), await newGroup()];
    const { name } = await move(await newSecret('kept', from), to);
    await groups.deleteSecretGroup({ name: from, ...fresh() });
    expect(await read(name)).toBe('kept');
    await groups.deleteSecretGroup({ name: to, ...fresh() });
    expect(await refusalOf(read(name))).toMatchObject({ reason: 'RESOURCE_DELETED' });
  });

  it('can come back; nobody else is ever given its old name', async () => {
    const name = await newSecret();
    const group = await newGroup();
    const moved = await move(name, group);
    const secretId = name.split('/').at(-1)!;
    const again = secrets.createSecret({ parent: tenant.group, secretId, ...fresh() });
    expect(await properRefusalOf(again)).toMatchObject({ code: 'ALREADY_EXISTS', reason: 'NAME_RETIRED' });
    const third = await newGroup();
    const other = (await secrets.createSecret({ parent: third, secretId, ...fresh() })).name;
    expect(await properRefusalOf(move(other, tenant.group))).toMatchObject({ reason: 'NAME_RETIRED' });
    expect((await move(moved.name, tenant.group)).name).toBe(name);
    expect(await read(name)).toBe('one');
  });

  it('is read rightly at every moment, while versions are added and the keys of both groups are replaced', async () => {
    const [from, to] = [await newGroup(), await newGroup()];
    const name = await newSecret('1', from);
    const there = `${to}/secrets/${name.split('/').at(-1)}`;
    let done = false;
    let highest = 1;
    /** Where it is; it may be moved between the one try and the other. */
    const eitherOf = async <T>(work: (at: string) => Promise<T>): Promise<T> => {
      for (let tries = 1; ; tries++) {
        try {
          return await work(tries % 2 === 0 ? there : name);
        } catch (error) {
          if (tries === 10 || !(error instanceof Error && error.message.includes('does not exist'))) throw error;
        }
      }
    };
    const reading = async (): Promise<number> => {
      let count = 0;
      for (; !done; count++) {
        const { name: version, payload } = await eitherOf((at) => access.accessSecretVersion({ name: `${at}/versions/latest` }));
        expect(payload?.value?.value).toBe(version.split('/').at(-1));
      }
      return count;
    };
    const adding = async (): Promise<void> => {
      for (; !done; highest++) await eitherOf((at) => add(at, String(highest + 1)));
    };
    const readers = Promise.all([reading(), reading(), reading(), adding()]);
    for (const group of [from, to]) await groups.rotateSecretGroupKey({ name: group, ...fresh() });
    for (let i = 0; i < 5; i++) {
      await move(name, to);
      await sleep(100);
      await move(there, from);
    }
    await move(name, to);
    done = true;
    expect((await readers)[0]).toBeGreaterThan(10);
    for (let version = 1; version <= highest; version++) expect(await read(there, version)).toBe(String(version));
  });
});

describe('who moves a secret', () => {
  it('needs Manager where it is and Writer where it goes, and learns nothing of groups that he may not write to', async () => {
    const [from, to] = [await newGroup(), await newGroup()];
    const name = await newSecret('one', from);
    const asApp = (destinationParent: string) => app.moves.moveSecret({ name, destinationParent, ...fresh() });
    await bind(operator, from, spiffeIdOf('app'), Role.WRITER);
    await bind(operator, to, spiffeIdOf('app'), Role.WRITER);
    expect(await properRefusalOf(asApp(to))).toMatchObject({ reason: 'PERMISSION_DENIED' });
    await bind(operator, from, spiffeIdOf('app'), Role.MANAGER);
    const hidden = await newGroup();
    await bind(operator, hidden, spiffeIdOf('app'), Role.READER);
    const absent = `${tenant.instance}/groups/absent`;
    for (const destination of [hidden, absent]) {
      const refused = await properRefusalOf(asApp(destination));
      expect(refused).toMatchObject({ code: 'PERMISSION_DENIED', metadata: { action: 'secrets.secret.move', resource: destination } });
    }
    expect((await asApp(to)).name).toContain(to);
  });

  it('is refused while it is held, while a version is about to be destroyed, with a stale etag, and where the name is taken', async () => {
    const group = await newGroup();
    const name = await newSecret();
    const hold = Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' });
    for (const parent of [name, tenant.group]) {
      const { name: held } = await holds.createHold({ parent, holdId: 'case-7', hold, ...fresh() });
      expect(await properRefusalOf(move(name, group))).toMatchObject({ reason: 'RESOURCE_HELD' });
      await holds.deleteHold({ name: held, ...fresh() });
    }
    expect(await properRefusalOf(move(name, group, '"stale"'))).toMatchObject({ reason: 'ETAG_MISMATCH' });
    expect(await properRefusalOf(move(name, tenant.group))).toMatchObject({ fields: ['destination_parent'] });
    const elsewhere = (await newTenant(operator)).group;
    expect(await properRefusalOf(move(name, elsewhere))).toMatchObject({ fields: ['destination_parent'] });
    await secrets.createSecret({ parent: group, secretId: name.split('/').at(-1)!, ...fresh() });
    expect(await properRefusalOf(move(name, group))).toMatchObject({ reason: 'ALREADY_EXISTS' });

    const other = await newSecret();
    const retentionPolicy = RetentionPolicy.fromPartial({ version: { seconds: 3_600n } });
    await instances.updateInstance({ instance: Instance.fromPartial({ name: tenant.instance, retentionPolicy }), ...fresh() });
    await secrets.destroySecretVersion({ name: `${other}/versions/1`, ...fresh() });
    expect(await properRefusalOf(move(other, group))).toMatchObject({ reason: 'VERSION_DESTROY_SCHEDULED' });
    expect(await read(name)).toBe('one');
  });

  it('is told when it has more than 1,000 versions', async () => {
    const name = await newSecret();
    const group = await newGroup();
    const { uid } = await secrets.getSecret({ name });
    const addMany = (from: number, to: number) =>
      withDatabase(stack, 'store', async (client) => {
        const insert = `insert into secret_versions (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed)
          select instance_uid, secret_uid, n, 'TEXT', 1, 1, false, wrapped_dek, sealed from secret_versions, generate_series($2::int, $3::int) n
          where secret_uid = $1 and version = 1`;
        await client.query(insert, [uid, from, to]);
      });
    await addMany(2, 1_001);
    expect(await properRefusalOf(move(name, group))).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'TOO_MANY_VERSIONS' });
  });

  it('moves nothing if one of its keys does not open', async () => {
    const name = await newSecret();
    const group = await newGroup();
    await add(name, 'two');
    const { uid } = await secrets.getSecret({ name });
    await withDatabase(
      stack,
      'store',
      (client) =>
        client.query(
          `update secret_versions set wrapped_dek = set_byte(wrapped_dek, 40, 1 + get_byte(wrapped_dek, 40) % 255) where secret_uid = $1 and version = 1`,
          [uid],
        ),
      'superuser',
    );
    expect(await properRefusalOf(move(name, group))).toMatchObject({ code: 'DATA_LOSS' });
    expect(await read(name)).toBe('two');
  });
});
