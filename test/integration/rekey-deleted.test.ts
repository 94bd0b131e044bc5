// Groups whose key is replaced while they, or what is in them, are deleted and purged: neither stands in the other's way.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { SecretGroupKeyRotation_State as State } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { rotate, rotationOf, wrapsOf } from '../support/rekeys.ts';
import { startReplica } from '../support/replica.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, store, auditor] = [
  clientsOf(stack, 'operator'),
  clientsOf(stack, 'app'),
  clientsOf(stack, 'store'),
  clientsOf(stack, 'auditor'),
];
afterAll(() => [operator, app, store, auditor].forEach((clients) => clients[Symbol.dispose]()));

const newGroup = async (retentionSeconds = 3_600): Promise<Tenant> => {
  const tenant = await newTenant(operator, { retentionSeconds });
  await bind(operator, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  return tenant;
};
const write = (parent: string) => app.secrets.createSecret({ parent, secretId: newId('s'), payload: text('a value'), ...fresh() });
const read = (secret: string) => app.access.accessSecretVersion({ name: `${secret}/versions/1` });
const begin = ({ group }: Tenant) => operator.groups.rotateSecretGroupKey({ name: group, ...fresh() });
const purged = (uid: string): Promise<void> =>
  vi.waitFor(async () => expect((await operator.purges.getPurge({ name: `purges/${uid}` })).state).toBe(Purge_State.DONE), {
    timeout: 30_000,
    interval: 100,
  });

describe('a group that is deleted while its key is replaced', () => {
  it.each(['group', 'instance'] as const)('with its %s waits, and goes on when that is undeleted', async (what) => {
    const tenant = await newGroup();
    const { name } = await write(tenant.group);
    await begin(tenant);
    if (what === 'group') await operator.groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    else await operator.instances.deleteInstance({ name: tenant.instance, ...fresh() });
    await sleep(2_500);
    expect(await wrapsOf(stack, tenant.groupUid)).toEqual({ '2/1': 1 });
    if (what === 'group') await operator.groups.undeleteSecretGroup({ name: tenant.group, ...fresh() });
    else await operator.instances.undeleteInstance({ name: tenant.instance, ...fresh() });
    expect((await rotationOf(operator, tenant.group)).keyVersion).toBe(2);
    expect(await wrapsOf(stack, tenant.groupUid)).toEqual({ '2/2': 1 });
    expect((await read(name)).payload?.value?.value).toBe('a value');
  });

  it('and purged is gone with all versions of its key, and who watches hears of it', async () => {
    const tenant = await newGroup(1);
    await write(tenant.group);
    await begin(tenant);
    const watching = operator.watchGroupRotation({ name: tenant.group }, { timeoutMs: 30_000 });
    expect((await watching.next()).value?.state).toBe(State.ROTATING);
    await operator.groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    await purged(tenant.groupUid);
    expect((await store.envelopes.getScope({ name: `scopes/${tenant.groupUid}` })).livingVersions).toEqual([]);
    const toTheEnd = async (): Promise<void> => {
      for await (const _ of watching);
    };
    expect((await properRefusalOf(toTheEnd())).reason).toBe('NOT_FOUND');
    expect((await properRefusalOf(operator.groups.getSecretGroupKeyRotation({ name: tenant.group }))).reason).toBe('NOT_FOUND');
  });
});

describe('secrets that are purged while the key of their group is replaced', () => {
  it('go, and what stays has moved', { timeout: 90_000 }, async () => {
    const tenant = await newGroup(1);
    const secrets = await Promise.all(Array.from({ length: 60 }, () => write(tenant.group)));
    for (let i = 0; i < 10; i++)
      await Promise.all(secrets.map(({ name: parent }) => app.secrets.addSecretVersion({ parent, payload: text('v'), ...fresh() })));
    const [doomed, kept] = [secrets.slice(0, 30), secrets.slice(30)];
    await Promise.all(doomed.map(({ name }) => operator.secrets.deleteSecret({ name, ...fresh() })));
    await begin(tenant);
    await Promise.all(doomed.map(({ uid }) => purged(uid)));
    await rotationOf(operator, tenant.group);
    expect(await wrapsOf(stack, tenant.groupUid)).toEqual({ '2/2': 330 });
    for (const { name } of kept) expect((await read(name)).payload?.value?.value).toBe('a value');
  });
});

describe('beside another replica of the store', () => {
  it('every data key moves once, and new versions written there use the new key', { timeout: 90_000 }, async () => {
    await using replica = await startReplica(stack, 'store');
    using there = clientsOf(replica.stack, 'app');
    using operatorThere = clientsOf(replica.stack, 'operator');
    const tenants = await Promise.all(Array.from({ length: 6 }, () => newGroup()));
    for (const tenant of tenants) await Promise.all(Array.from({ length: 20 }, () => write(tenant.group)));
    const begun = await sizeOf(auditor);
    await Promise.all(
      tenants.map(({ group: name }, i) => (i % 2 ? operator : operatorThere).groups.rotateSecretGroupKey({ name, ...fresh() })),
    );
    await Promise.all(tenants.map(({ group }) => rotationOf(operator, group)));
    const uids = tenants.map(({ instanceUid }) => instanceUid);
    const moves = (await entriesOf(auditor, { action: 'keys.dek.rewrap' }, begun)).filter(({ event }) => uids.includes(event!.instanceUid));
    expect(moves).toHaveLength(120);
    const made = await there.secrets.createSecret({ parent: tenants[0]!.group, secretId: 'there', payload: text('new'), ...fresh() });
    expect((await read(made.name)).payload?.value?.value).toBe('new');
    for (const [i, { groupUid }] of tenants.entries()) expect(await wrapsOf(stack, groupUid)).toEqual({ '2/2': i === 0 ? 21 : 20 });
  });
});

describe('the database', () => {
  const as = (role: string, statements: readonly string[], values: unknown[]): Promise<string> =>
    withDatabase(
      stack,
      'store',
      async (client) => {
        await client.query(`begin; set local role ${role}`);
        try {
          for (const statement of statements) await client.query(statement, statement.includes('$1') ? values : []);
          return 'OK';
        } catch (error) {
          return (error as Error).message;
        } finally {
          await client.query('rollback');
        }
      },
      'superuser',
    );

  it('lets the store replace a wrapped key only while the key of its group is replaced, and nothing that never changes', async () => {
    const tenant = await newGroup();
    const { uid } = await write(tenant.group);
    const replace = `update secret_versions set wrapped_dek = set_byte(wrapped_dek, 9, 1 + get_byte(wrapped_dek, 9) % 255) where secret_uid = $1`;
    expect(await as('store', [replace], [uid])).toContain('only while the key of its group is');
    await rotate(operator, tenant.group);
    expect(await as('store', [replace], [uid])).toContain('only while the key of its group is');
    expect(await as('store', [`update rekeys set state = 'REWRAPPING'`, replace], [uid])).toBe('OK');
    expect(await as('store', ['update secret_versions set crc32c = 0 where secret_uid = $1'], [uid])).toContain('permission denied');
    expect(await as('worker', ['select * from rekeys'], [])).toContain('permission denied');
  });
});
