// Lists in pages: every list there is, walked to its end, finds each item once and in order, also while others are made.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { clientsOf } from '../support/clients.ts';
import { spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const COUNT = 12;
const stack = inject('stack');
const [operator, app, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'auditor')];
let tenant: Tenant;
let secret = '';
const numbers = Array.from({ length: COUNT }, (_, i) => i);
const ids = numbers.map((i) => `item-${String(i).padStart(2, '0')}`);
beforeAll(async () => {
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  // Not in the order in which they are listed.
  for (const id of ids.toReversed()) {
    await operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: id, ...fresh() });
    secret = (await app.secrets.createSecret({ parent: tenant.group, secretId: id, payload: text('v'), ...fresh() })).name;
    await bind(operator, tenant.group, spiffe(`many/${id}`), Role.READER);
  }
  for (const i of numbers.slice(1)) await app.secrets.addSecretVersion({ parent: secret, payload: text(String(i)), ...fresh() });
});
afterAll(() => [operator, app, auditor].forEach((clients) => clients[Symbol.dispose]()));

interface Page {
  names: string[];
  nextPageToken: string;
}
type List = (pageSize: number, pageToken: string) => Promise<Page>;
const page = (items: readonly { name: string }[], { nextPageToken }: { nextPageToken: string }): Page => ({
  names: items.map(({ name }) => name),
  nextPageToken,
});

const LISTS: Readonly<Record<string, { list: List; expected: () => string[] }>> = {
  groups: {
    list: async (pageSize, pageToken) => {
      const reply = await operator.groups.listSecretGroups({ parent: tenant.instance, pageSize, pageToken });
      return page(reply.secretGroups, reply);
    },
    expected: () => [...ids.map((id) => `${tenant.instance}/groups/${id}`), tenant.group],
  },
  secrets: {
    list: async (pageSize, pageToken) => {
      const reply = await app.secrets.listSecrets({ parent: tenant.group, pageSize, pageToken });
      return page(reply.secrets, reply);
    },
    expected: () => ids.map((id) => `${tenant.group}/secrets/${id}`),
  },
  versions: {
    list: async (pageSize, pageToken) => {
      const reply = await app.secrets.listSecretVersions({ parent: secret, pageSize, pageToken });
      return page(reply.secretVersions, reply);
    },
    expected: () => numbers.toReversed().map((i) => `${secret}/versions/${i + 1}`),
  },
  bindings: {
    list: async (pageSize, pageToken) => {
      const reply = await operator.bindings.listBindings({ scope: tenant.group, pageSize, pageToken });
      return page(
        reply.bindings.map(({ principal }) => ({ name: principal })),
        reply,
      );
    },
    expected: () => ids.map((id) => spiffe(`many/${id}`)),
  },
};

const walk = async (list: List, pageSize: number, between: () => Promise<unknown> = async () => undefined): Promise<Page[]> => {
  const pages: Page[] = [];
  for (let token = ''; pages.length === 0 || token !== '';) {
    pages.push(await list(pageSize, token));
    token = pages.at(-1)!.nextPageToken;
    await between();
  }
  return pages;
};

describe.each(Object.entries(LISTS))('a list of %s', (_, { list, expected }) => {
  it.each([1, 5, 6, 12, 50, 1_000, 0, 2_000_000_000])('in pages of %i has every item once, in order', async (size) => {
    const pages = await walk(list, size);
    expect(pages.flatMap(({ names }) => names)).toEqual(expected());
    for (const { names } of pages.slice(0, -1)) expect(names).toHaveLength(size);
    expect(pages.at(-1)!.names.length).toBeGreaterThan(0);
  });

  it('gives a token that nobody can read anything from', async () => {
    const { nextPageToken } = await list(1, '');
    expect(nextPageToken).toMatch(/^[A-Za-z0-9_-]{30,}$/);
    expect(Buffer.from(nextPageToken, 'base64url').toString('latin1')).not.toMatch(/item|spiffe|instances/);
  });

  it('takes a token again, and answers the same', async () => {
    const { nextPageToken } = await list(3, '');
    expect((await list(3, nextPageToken)).names).toEqual((await list(3, nextPageToken)).names);
    expect((await list(2, nextPageToken)).names).toEqual(expected().slice(3, 5));
  });
});

describe('a list that changes while it is walked', () => {
  it('still has every item once that was there from beginning to end', async () => {
    const own = await newTenant(operator);
    for (const id of ids) await operator.secrets.createSecret({ parent: own.group, secretId: id, ...fresh() });
    const list: List = async (pageSize, pageToken) => {
      const reply = await operator.secrets.listSecrets({ parent: own.group, pageSize, pageToken });
      return page(reply.secrets, reply);
    };
    let made = 0;
    const pages = await walk(list, 3, async () => {
      if (made++ > 8) return;
      for (const id of [newId('a'), newId('z')]) await operator.secrets.createSecret({ parent: own.group, secretId: id, ...fresh() });
    });
    const found = pages.flatMap(({ names }) => names.map((name) => name.split('/').at(-1)!));
    expect(new Set(found).size).toBe(found.length);
    expect(found.filter((id) => id.startsWith('item-'))).toEqual(ids);
    expect(found).toEqual(found.toSorted());
  });
});

describe('lists over all tenants', () => {
  it('of instances goes in pages, by name, deleted ones for who asks', async () => {
    const three = [await newTenant(operator), await newTenant(operator), await newTenant(operator)].map(({ instance }) => instance).sort();
    await operator.instances.deleteInstance({ name: three[1]!, ...fresh() });
    const listed = async (showDeleted: boolean) => {
      const pages = await walk(async (pageSize, pageToken) => {
        const reply = await operator.instances.listInstances({ pageSize, pageToken, showDeleted });
        return page(reply.instances, reply);
      }, 7);
      const names = pages.flatMap((found) => found.names);
      expect(names).toEqual([...new Set(names)].sort());
      return three.filter((name) => names.includes(name));
    };
    expect(await listed(true)).toEqual(three);
    expect(await listed(false)).toEqual([three[0], three[2]]);
  });

  it('of purges goes in pages, newest first', async () => {
    const made: string[] = [];
    for (const id of ids.slice(0, 5))
      made.push((await operator.secrets.createSecret({ parent: tenant.group, secretId: `p-${id}`, ...fresh() })).name);
    for (const name of made) await operator.secrets.deleteSecret({ name, ...fresh() });
    const pages = await walk(async (pageSize, pageToken) => {
      const reply = await operator.purges.listPurges({ pageSize, pageToken });
      return page(
        reply.purges.map(({ resource }) => ({ name: resource })),
        reply,
      );
    }, 4);
    const mine = pages.flatMap(({ names }) => names).filter((name) => made.includes(name));
    expect(mine).toEqual(made.toReversed());
  });

  it('of audit entries goes in pages, newest first, and is bound to its filter', async () => {
    const filter = { resource: tenant.instance };
    const first = await auditor.auditLog.listEntries({ ...filter, pageSize: 10 });
    const second = await auditor.auditLog.listEntries({ ...filter, pageSize: 10, pageToken: first.nextPageToken });
    const indexes = [...first.entries, ...second.entries].map(({ index }) => index);
    expect(indexes).toHaveLength(20);
    expect(indexes.every((index, i) => i === 0 || index < indexes[i - 1]!)).toBe(true);
    for (const other of [{}, { resource: tenant.group }, { ...filter, principal: spiffeIdOf('app') }])
      expect(await properRefusalOf(auditor.auditLog.listEntries({ ...other, pageToken: first.nextPageToken }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_PAGE_TOKEN',
      });
  });
});
