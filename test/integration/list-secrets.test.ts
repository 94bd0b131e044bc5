// Lists of secrets as a user asks for them: filtered, in an order, of all groups that he may see, and only the fields he wants.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Secret, type ListSecretsRequest } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, fresh, newId, newTenant, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'auditor')];
afterAll(() => [operator, app, auditor].forEach((clients) => clients[Symbol.dispose]()));

let tenant: Tenant;
const groupOf = (id: string) => `${tenant.instance}/groups/${id}`;
const times = new Map<string, Date>();
const make = async (group: string, secretId: string, labels: Record<string, string> = {}) => {
  const secret = Secret.fromPartial({ description: 'ours', labels: new Map(Object.entries(labels)) });
  const made = await operator.secrets.createSecret({ parent: groupOf(group), secretId, secret, ...fresh() });
  times.set(secretId, made.createTime!);
};
beforeAll(async () => {
  tenant = await newTenant(operator);
  for (const id of ['alpha', 'beta', 'hidden'])
    await operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: id, ...fresh() });
  // Not in the order of their names.
  await make('main', 'db-two', { env: 'prod', team: 'db' });
  await make('main', 'web', { env: 'test' });
  await make('main', 'db-one', { env: 'test' });
  await make('main', 'bare');
  await make('main', 'gone', { env: 'prod' });
  await operator.secrets.deleteSecret({ name: `${tenant.group}/secrets/gone`, ...fresh() });
  await make('alpha', 'z');
  await make('beta', 'a');
  await make('hidden', 'm');
  await operator.secrets.updateSecret({
    secret: Secret.fromPartial({ name: `${tenant.group}/secrets/web`, description: 'new' }),
    ...fresh(),
  });
  for (const id of ['alpha', 'main']) await bind(operator, groupOf(id), spiffeIdOf('app'), Role.READER);
});

/** IDs of the secrets, over all pages of this size. */
const list = async (request: Partial<ListSecretsRequest>, as = operator, pageSize = 2): Promise<string[]> => {
  const found: string[] = [];
  for (let pageToken = ''; ;) {
    const page = await as.secrets.listSecrets({ parent: tenant.group, ...request, pageSize, pageToken });
    found.push(
      ...page.secrets.map(({ name }) =>
        name
          .slice(tenant.instance.length)
          .replaceAll(/\/(groups|secrets)\//g, ' ')
          .trim(),
      ),
    );
    pageToken = page.nextPageToken;
    if (pageToken === '') return found;
  }
};
const ids = async (filter: string, request: Partial<ListSecretsRequest> = {}) =>
  (await list({ filter, ...request })).map((name) => name.replace('main ', ''));

describe('a list of secrets', () => {
  it.each([
    ['secret_id = web', ['web']],
    ['secret_id = "db-*"', ['db-one', 'db-two']],
    ['secret_id = "d%"', []],
    ['labels.env = test AND NOT secret_id = web', ['db-one']],
    ['labels.env != test', ['bare', 'db-two']],
    ['labels:team OR secret_id = bare', ['bare', 'db-two']],
    ['-labels:env', ['bare']],
    ['state = DELETED', []],
    ['create_time > "2001-01-01T00:00:00Z" AND update_time < "2001-01-01T00:00:00Z"', []],
    [`labels.env = "'; drop table secrets; --"`, []],
  ])('that is filtered by %s has what fits, in pages as well', async (filter, expected) => {
    expect(await ids(filter)).toEqual(expected);
  });

  it('finds by time, and what is deleted only if it is asked for', async () => {
    const time = times.get('db-one')!.toISOString();
    expect(await ids(`create_time > "${time}"`)).toEqual(['bare', 'db-one']);
    expect(await ids(`create_time < "${time}"`)).toEqual(['db-two', 'web']);
    expect(await ids('state = DELETED', { showDeleted: true })).toEqual(['gone']);
  });

  it.each([
    ['', ['bare', 'db-one', 'db-two', 'web']],
    ['secret_id desc', ['web', 'db-two', 'db-one', 'bare']],
    ['create_time', ['db-two', 'web', 'db-one', 'bare']],
    ['create_time desc', ['bare', 'db-one', 'web', 'db-two']],
    ['update_time desc', ['web', 'bare', 'db-one', 'db-two']],
  ])('is in the order %j, whatever the size of its pages', async (orderBy, expected) => {
    for (const size of [1, 2, 3, 50])
      expect(await list({ orderBy }, operator, size), String(size)).toEqual(expected.map((id) => `main ${id}`));
  });

  it('of all groups has those that the caller may see, group after group', async () => {
    const parent = groupOf('-');
    const main = ['main bare', 'main db-one', 'main db-two', 'main web'];
    expect(await list({ parent })).toEqual(['alpha z', 'beta a', 'hidden m', ...main]);
    expect(await list({ parent }, app)).toEqual(['alpha z', ...main]);
    expect(await list({ parent, orderBy: 'secret_id desc' }, app, 1)).toEqual([...main.toReversed(), 'alpha z']);
    expect(await list({ parent, orderBy: 'create_time desc' }, operator, 1)).toEqual([
      'hidden m',
      'beta a',
      'alpha z',
      'main bare',
      'main db-one',
      'main web',
      'main db-two',
    ]);
    expect(await list({ parent, filter: 'secret_id = z OR secret_id = m' }, app)).toEqual(['alpha z']);
  });

  it('of all groups is denied to who may see none, as it is of an instance that is not there', async () => {
    const other = await newTenant(operator);
    for (const instance of [other.instance, 'instances/absent']) {
      const refused = await properRefusalOf(app.secrets.listSecrets({ parent: `${instance}/groups/-` }));
      expect(refused).toMatchObject({ reason: 'PERMISSION_DENIED', metadata: { resource: `${instance}/groups/-` } });
    }
  });

  it('has only the fields that are asked for', async () => {
    const { secrets } = await operator.secrets.listSecrets({ parent: tenant.group, filter: 'secret_id=web', readMask: ['name', 'labels'] });
    expect(secrets).toEqual([Secret.fromPartial({ name: `${tenant.group}/secrets/web`, labels: new Map([['env', 'test']]) })]);
    const all = await operator.secrets.listSecrets({ parent: tenant.group, readMask: ['*'] });
    expect(all.secrets[0]).toMatchObject({ description: 'ours', latestVersion: 0 });
  });

  it('does not touch the key service', async () => {
    const id = newId('list');
    await operator.secrets.listSecrets({ parent: tenant.group }, { metadata: { 'x-correlation-id': id } });
    expect((await entriesOfCall(auditor, id)).map(({ source }) => source)).toEqual([spiffeIdOf('store')]);
  });

  it.each<[string, Partial<ListSecretsRequest>]>([
    ['filter', { filter: 'secret_id' }],
    ['filter', { filter: 'x'.repeat(2_049) }],
    ['order_by', { orderBy: 'description' }],
    ['order_by', { orderBy: 'secret_id, create_time' }],
    ['read_mask', { readMask: ['payload'] }],
    ['read_mask', { readMask: ['name', '*'] }],
    ['parent', { parent: 'instances/-/groups/-' }],
  ])('is refused for its %s', async (field, request) => {
    const refused = await properRefusalOf(operator.secrets.listSecrets({ parent: tenant.group, ...request }));
    expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', fields: [field] });
  });

  it('does not go on with another filter or order than it began with', async () => {
    const { nextPageToken: pageToken } = await operator.secrets.listSecrets({ parent: tenant.group, pageSize: 1 });
    for (const other of [{ filter: 'labels:env' }, { orderBy: 'create_time' }, { parent: groupOf('-') }]) {
      const refused = properRefusalOf(operator.secrets.listSecrets({ parent: tenant.group, pageSize: 1, pageToken, ...other }));
      expect(await refused).toMatchObject({ reason: 'INVALID_PAGE_TOKEN' });
    }
  });
});
