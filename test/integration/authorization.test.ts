// What callers are told of their rights, what lists show to whom, and what keeps people from locking themselves out.
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf, TRUST_DOMAIN } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Binding, Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { AccessSecretVersionRequest } from '../../src/gen/strongroom/secrets/v1/secret_access_service.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica, type Replica } from '../support/replica.ts';
import { bind, fresh, newId, newTenant, text, unbind, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const opened: Clients[] = [];
const [operator, app2, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app2'), clientsOf(stack, 'auditor')];
opened.push(operator, app2, auditor);
const newCaller = async (): Promise<{ path: string; id: string; clients: Clients }> => {
  const path = newId('caller');
  const clients = await clientsAs(stack, path);
  opened.push(clients);
  return { path, id: spiffe(path), clients };
};
const newGroup = async (parent: string, secretGroupId = newId('g')) =>
  (await operator.groups.createSecretGroup({ parent, secretGroupId, ...fresh() })).name;
const newSecret = async (parent: string) =>
  (await operator.secrets.createSecret({ parent, secretId: newId('s'), payload: text('v'), ...fresh() })).name;

let replica: Replica;
let tenant: Tenant;
beforeAll(async () => {
  [replica, tenant] = await Promise.all([startReplica(stack, 'store'), newTenant(operator)]);
});
afterAll(async () => {
  for (const clients of opened) clients[Symbol.dispose]();
  await replica[Symbol.asyncDispose]();
});

describe('who am I', () => {
  it('tells everybody his identity, as the audit log has it', async () => {
    const me = await app2.authorization.whoAmI({});
    expect(me).toMatchObject({ principal: spiffeIdOf('app2'), trustDomain: TRUST_DOMAIN, sourceAddress: '127.0.0.1' });
    const correlationId = newId('whoami');
    await app2.authorization.whoAmI({}, { metadata: { 'x-correlation-id': correlationId } });
    const [entry] = await entriesOfCall(auditor, correlationId);
    expect(entry?.event?.credentialId).toBe(me.credentialId);
  });

  it('tells the roles and where they count, also one of the configuration', async () => {
    const { id, clients } = await newCaller();
    expect((await clients.authorization.whoAmI({})).roles).toEqual([]);
    await bind(operator, tenant.group, id, Role.WRITER, Role.SECRETS_READER);
    const { roles } = await clients.authorization.whoAmI({});
    expect(roles.toSorted((a, b) => a.role - b.role)).toEqual([
      { scope: tenant.group, role: Role.SECRETS_READER, configured: false },
      { scope: tenant.group, role: Role.WRITER, configured: false },
    ]);
    expect((await operator.authorization.whoAmI({})).roles).toContainEqual({ scope: 'system', role: Role.MANAGER, configured: true });
  });
});

describe('a question what one may do', () => {
  const asked = ['secrets.version.access', 'secrets.secret.read', 'secrets.secret.delete', 'secrets.version.create'];
  const allowed = async (clients: Clients, resource: string, actions = asked) =>
    (await clients.authorization.testPermissions({ resource, actions })).actions;

  it('is answered as the calls themselves are', async () => {
    const { id, clients } = await newCaller();
    const secret = await newSecret(tenant.group);
    await bind(operator, tenant.group, id, Role.WRITER, Role.SECRETS_READER);
    for (const resource of [secret, `${secret}/versions/1`, tenant.group])
      expect(await allowed(clients, resource)).toEqual(['secrets.version.access', 'secrets.secret.read', 'secrets.version.create']);
    expect(await allowed(clients, tenant.instance)).toEqual([]);
    expect(await allowed(clients, tenant.instance, ['secrets.group.list', 'secrets.instance.read'])).toEqual(['secrets.group.list']);
    await clients.access.accessSecretVersion({ name: `${secret}/versions/1` });
    expect((await properRefusalOf(clients.secrets.deleteSecret({ name: secret, ...fresh() }))).code).toBe('PERMISSION_DENIED');
    expect(await allowed(operator, 'system', ['secrets.instance.create', 'secrets.purge.list', 'secrets.version.access'])).toEqual([
      'secrets.instance.create',
      'secrets.purge.list',
    ]);
  });

  it('is answered alike for what is not there and for what one may know nothing of', async () => {
    const { id, clients } = await newCaller();
    await bind(operator, tenant.group, id, Role.MANAGER);
    const hidden = await newTenant(operator);
    const missing = [`${tenant.group}/secrets/none`, 'instances/none', 'instances/none/groups/g', `${tenant.instance}/groups/none`];
    for (const resource of [...missing, hidden.instance, hidden.group, await newSecret(hidden.group)])
      expect(await allowed(clients, resource), resource).toEqual([]);
  });

  it.each([
    ['no action', { actions: [] }, 'actions'],
    ['101 actions', { actions: Array<string>(101).fill('secrets.secret.read') }, 'actions'],
    ['an action that there is not', { actions: ['secrets.secret.read', 'secrets.secret.*'] }, 'actions[1]'],
    ['a name that is none', { actions: asked, resource: 'instances/A' }, 'resource'],
    ['a group’s secret by half', { actions: asked, resource: 'instances/a/groups/g/secrets/' }, 'resource'],
  ])('with %s is refused, naming the field', async (_, request, field) => {
    const refusal = await properRefusalOf(app2.authorization.testPermissions({ resource: 'system', ...request }));
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', fields: [field] });
  });
});

describe('the list of who can read a secret', () => {
  it('names every principal with the binding that lets it, page by page, and nobody who only manages', async () => {
    const own = await newTenant(operator);
    const secret = await newSecret(own.group);
    const reader = spiffe(newId('system-reader'));
    await bind(operator, own.group, spiffe('a-writer'), Role.WRITER, Role.MANAGER, Role.READER);
    await bind(operator, own.group, spiffe('a-reader'), Role.SECRETS_READER);
    await bind(operator, own.instance, spiffe('a-reader'), Role.SECRETS_READER);
    await bind(operator, await newGroup(own.instance), spiffe('elsewhere'), Role.SECRETS_READER);
    await bind(operator, 'system', reader, Role.SECRETS_READER);
    const found: [string, string][] = [];
    for (let pageToken = ''; ;) {
      const page = await operator.authorization.listSecretReaders({ name: secret, pageSize: 1, pageToken });
      for (const { principal, scope, role } of page.readers) {
        expect(role).toBe(Role.SECRETS_READER);
        found.push([principal, scope]);
      }
      if (page.nextPageToken === '') break;
      pageToken = page.nextPageToken;
    }
    await unbind(operator, 'system', reader, Role.SECRETS_READER);
    const others = found.filter(([principal, scope]) => scope !== 'system' || principal === reader);
    expect(others).toEqual([
      [spiffe('a-reader'), own.instance],
      [spiffe('a-reader'), own.group],
      [reader, 'system'],
    ]);
  });

  it('is for Managers, who are told when the secret does not exist', async () => {
    const { id, clients } = await newCaller();
    await bind(operator, tenant.group, id, Role.MANAGER);
    const name = `${tenant.group}/secrets/none`;
    expect((await properRefusalOf(clients.authorization.listSecretReaders({ name }))).reason).toBe('NOT_FOUND');
    await unbind(operator, tenant.group, id, Role.MANAGER);
    await bind(operator, tenant.group, id, Role.WRITER);
    expect((await properRefusalOf(clients.authorization.listSecretReaders({ name }))).reason).toBe('PERMISSION_DENIED');
  });
});

describe('a list', () => {
  it('of groups shows to who has a role on some groups these alone, page by page', async () => {
    const { id, clients } = await newCaller();
    const own = await newTenant(operator);
    const groups = [await newGroup(own.instance, 'b'), await newGroup(own.instance, 'c'), await newGroup(own.instance, 'd')];
    expect((await properRefusalOf(clients.groups.listSecretGroups({ parent: own.instance }))).reason).toBe('PERMISSION_DENIED');
    await bind(operator, groups[0]!, id, Role.READER);
    await bind(operator, groups[2]!, id, Role.SECRETS_READER);
    await bind(operator, groups[1]!, id, Role.PURGER);
    const first = await clients.groups.listSecretGroups({ parent: own.instance, pageSize: 1 });
    const second = await clients.groups.listSecretGroups({ parent: own.instance, pageSize: 1, pageToken: first.nextPageToken });
    expect([first, second].flatMap((page) => page.secretGroups.map(({ name }) => name))).toEqual([groups[0], groups[2]]);
    expect(second.nextPageToken).toBe('');
    await bind(operator, own.instance, id, Role.READER);
    expect((await clients.groups.listSecretGroups({ parent: own.instance })).secretGroups).toHaveLength(4);
  });

  it('of instances shows those on which one is Reader, and no instance because of a group in it', async () => {
    const { id, clients } = await newCaller();
    const [one, two] = [await newTenant(operator), await newTenant(operator)];
    await bind(operator, one.group, id, Role.MANAGER);
    expect((await properRefusalOf(clients.instances.listInstances({}))).reason).toBe('PERMISSION_DENIED');
    await bind(operator, two.instance, id, Role.WRITER);
    expect((await clients.instances.listInstances({})).instances.map(({ name }) => name)).toEqual([two.instance]);
  });

  it('of purges is for readers of the system alone', async () => {
    const { id, clients } = await newCaller();
    await bind(operator, tenant.instance, id, Role.MANAGER, Role.PURGER);
    expect((await properRefusalOf(clients.purges.listPurges({}))).reason).toBe('PERMISSION_DENIED');
  });
});

describe('the last Manager of an instance', () => {
  const leave = (clients: Clients, scope: string, principal: string) =>
    clients.bindings.deleteBinding({ binding: Binding.fromPartial({ scope, principal, role: Role.MANAGER }), ...fresh() });

  it('cannot take the role from himself, until there is another one; an administrator can', async () => {
    const own = await newTenant(operator);
    const [one, two] = [await newCaller(), await newCaller()];
    await bind(operator, own.instance, one.id, Role.MANAGER);
    await bind(operator, own.group, two.id, Role.MANAGER);
    expect(await properRefusalOf(leave(one.clients, own.instance, one.id))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'LAST_MANAGER',
    });
    await one.clients.instances.getInstance({ name: own.instance });
    await bind(operator, own.instance, two.id, Role.MANAGER);
    await leave(one.clients, own.instance, one.id);
    await leave(operator, own.instance, two.id);
  });

  it('stays, also if all leave at once', async () => {
    const own = await newTenant(operator);
    const all = await Promise.all([newCaller(), newCaller(), newCaller()]);
    for (const { id } of all) await bind(operator, own.instance, id, Role.MANAGER);
    const outcomes = await Promise.allSettled(all.map(({ clients, id }) => leave(clients, own.instance, id)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect((await operator.bindings.listBindings({ scope: own.instance })).bindings).toHaveLength(1);
  });
});

describe('allowed networks of an instance', () => {
  const HOME = ['127.0.0.0/8', '::1/128'];
  const AWAY = ['10.20.0.0/16', '2001:db8::/32'];
  const allow = (clients: Clients, name: string, allowedNetworks: string[], more = {}) =>
    clients.instances.updateInstance({
      instance: Instance.fromPartial({ name, allowedNetworks }),
      updateMask: ['allowed_networks'],
      ...more,
      ...fresh(),
    });

  it('keep out who calls from elsewhere, at every replica within a second, and the audit log has it', async () => {
    const own = await newTenant(operator);
    const { id, path, clients } = await newCaller();
    const there = await clientsAs(replica.stack, path);
    opened.push(there);
    await bind(operator, own.instance, id, Role.SECRETS_READER);
    const name = `${await newSecret(own.group)}/versions/1`;
    await vi.waitFor(() => there.access.accessSecretVersion({ name }), 1_000);
    expect((await allow(operator, own.instance, AWAY)).allowedNetworks).toEqual(AWAY);

    const correlationId = newId('outside');
    const refusal = await properRefusalOf(
      clients.access.accessSecretVersion({ name }, { metadata: { 'x-correlation-id': correlationId } }),
    );
    expect(refusal).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'NETWORK_NOT_ALLOWED', metadata: { address: '127.0.0.1' } });
    const [entry] = await entriesOfCall(auditor, correlationId);
    expect(entry?.event).toMatchObject({ outcome: Event_Outcome.DENIED, reason: 'NETWORK_NOT_ALLOWED', instanceUid: own.instanceUid });
    // In a batch each item is refused as a call of its own is.
    const { results } = await clients.access.batchAccess({ requests: [AccessSecretVersionRequest.fromPartial({ name })] });
    expect(results[0]?.outcome).toMatchObject({ $case: 'error', value: { reason: 'NETWORK_NOT_ALLOWED' } });
    const refused = async () =>
      expect((await properRefusalOf(there.access.accessSecretVersion({ name }))).reason).toBe('NETWORK_NOT_ALLOWED');
    await vi.waitFor(refused, { timeout: 1_000, interval: 50 });

    // Who has no right learns nothing of networks.
    expect((await properRefusalOf(app2.access.accessSecretVersion({ name }))).reason).toBe('PERMISSION_DENIED');
    await allow(operator, own.instance, [...AWAY, ...HOME]);
    await clients.access.accessSecretVersion({ name });
    await vi.waitFor(() => there.access.accessSecretVersion({ name }), { timeout: 1_000, interval: 50 });
  });

  it('do not shut out by mistake who sets them, nor ever a Manager of the system', async () => {
    const own = await newTenant(operator);
    const { id, clients } = await newCaller();
    await bind(operator, own.instance, id, Role.MANAGER, Role.SECRETS_READER);
    expect(await properRefusalOf(allow(clients, own.instance, AWAY))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'WOULD_LOCK_OUT',
      metadata: { address: '127.0.0.1' },
    });
    await allow(clients, own.instance, HOME);
    await allow(clients, own.instance, AWAY, { allowLockout: true });
    expect((await properRefusalOf(allow(clients, own.instance, HOME))).reason).toBe('NETWORK_NOT_ALLOWED');
    await operator.groups.listSecretGroups({ parent: own.instance });
    await allow(operator, own.instance, []);
    await clients.instances.getInstance({ name: own.instance });
  });

  it('bind a Manager of the system too where that role is not enough: payloads', async () => {
    const own = await newTenant(operator);
    const { id, clients } = await newCaller();
    await bind(operator, 'system', id, Role.MANAGER, Role.SECRETS_READER);
    const name = `${await newSecret(own.group)}/versions/1`;
    await allow(clients, own.instance, AWAY);
    await clients.secrets.getSecretVersion({ name });
    expect((await properRefusalOf(clients.access.accessSecretVersion({ name }))).reason).toBe('NETWORK_NOT_ALLOWED');
    await unbind(operator, 'system', id, Role.MANAGER, Role.SECRETS_READER);
  });

  it.each([['10.1.0.0/8'], ['10.0.0.0'], ['anywhere']])('are networks, which %s is not', async (network) => {
    const refusal = await properRefusalOf(allow(operator, tenant.instance, ['10.0.0.0/8', network]));
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['instance.allowed_networks[1]'] });
  });
});
