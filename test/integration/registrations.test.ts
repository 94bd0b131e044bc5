// What a customer sees of the use of his root key: who is registered with it, how often and when last, and what must be kept.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Scope_State } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import type { Registration } from '../../src/gen/strongroom/keys/v1/registration_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { grantUse, newCustomer, newTenantUnder, newWrap, type Customer } from '../support/customer-keys.ts';
import { openKeysToAll } from '../support/key-events.ts';
import { startReplica } from '../support/replica.ts';
import { fresh, newId, text } from '../support/tenants.ts';

const stack = inject('stack');
let operator: Clients;
let store: Clients;
let auditor: Clients;
let customer: Customer;

beforeAll(async () => {
  [operator, store, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'store'), clientsOf(stack, 'auditor')];
  customer = await newCustomer(stack, operator);
  await grantUse(customer.manager, customer.ring);
});
afterAll(() => [operator, store, auditor, customer].forEach((one) => one[Symbol.dispose]()));

const registered = async (parent: string): Promise<Registration[]> =>
  (await customer.manager.registrations.listRegistrations({ parent, pageSize: 1_000 })).registrations;
const retain = (as: Clients, scope: string, retained: boolean, reason = 'a case in court') =>
  as.registrations.setRetention({ scope, retained, reason });

describe('the registrations of a root key', () => {
  it('are the instances and groups that it protects, with names, and those that are gone are not among them', async () => {
    const { name } = await customer.newKey();
    const tenant = await newTenantUnder(operator, name);
    const own = {
      service: spiffeIdOf('store'),
      instance: tenant.instance,
      instanceUid: tenant.instanceUid,
      rootKeyVersion: 1,
      retained: false,
    };
    expect(await registered(name)).toMatchObject([
      { ...own, scope: `scopes/${tenant.instanceUid}`, wrapCount: 0n, unwrapCount: 0n },
      { ...own, scope: `scopes/${tenant.groupUid}` },
    ]);
    expect((await registered(name))[0]!.lastUseTime).toBeUndefined();
    await store.envelopes.destroyScope({ name: `scopes/${tenant.groupUid}` });
    expect((await registered(name)).map(({ scope }) => scope)).toEqual([`scopes/${tenant.instanceUid}`]);
  });

  it('go on from page to page, by UUID, also by an alias of the key', async () => {
    const { name } = await customer.newKey({ aliases: [newId('alias')] });
    const scopes = await Promise.all(Array.from({ length: 5 }, async () => (await newWrap(store, name)).scope));
    const found: string[] = [];
    for (let pageToken = ''; ;) {
      const page = await customer.manager.registrations.listRegistrations({ parent: name, pageSize: 2, pageToken });
      found.push(...page.registrations.map(({ scope }) => scope));
      if ((pageToken = page.nextPageToken) === '') break;
    }
    expect(found).toEqual(scopes.toSorted());
    const { aliases } = await customer.manager.keys.getRootKey({ name });
    expect(await registered(`${customer.ring}/keys/${aliases[0]}`)).toHaveLength(5);
  });

  it('tell within seconds how often each was used, and when last', async () => {
    await using replica = await startReplica(stack, 'keys');
    using there = clientsOf(replica.stack, 'store');
    const { name } = await customer.newKey();
    const [busy, idle] = [await newWrap(there, name), await newWrap(store, name)];
    const requests = Array.from({ length: 500 }, () => ({
      scope: busy.scope,
      context: busy.context,
      wrappedDek: busy.wrappedDek,
      callContext: undefined,
    }));
    await there.envelopes.batchUnwrapDeks({ requests });
    await store.envelopes.batchUnwrapDeks({ requests });
    // What does not open is no use.
    await refusalOf(store.envelopes.unwrapDek({ ...busy, wrappedDek: Buffer.alloc(60, 1) }));
    const usedAt = Date.now();
    // A replica that stops leaves nothing uncounted.
    await replica.kill('SIGTERM');
    const uses = async () => new Map((await registered(name)).map((one) => [one.scope, one]));
    await vi.waitFor(async () => expect((await uses()).get(busy.scope)).toMatchObject({ wrapCount: 1n, unwrapCount: 1_000n }), {
      timeout: 15_000,
      interval: 200,
    });
    expect(Math.abs((await uses()).get(busy.scope)!.lastUseTime!.getTime() - usedAt)).toBeLessThan(2_000);
    expect((await uses()).get(idle.scope)).toMatchObject({ wrapCount: 1n, unwrapCount: 0n });
  }, 30_000);

  it('are of secrets that are written and read', async () => {
    const { name } = await customer.newKey();
    const tenant = await newTenantUnder(operator, name);
    await operator.secrets.createSecret({ parent: tenant.group, secretId: 'one', payload: text('a value'), ...fresh() });
    await vi.waitFor(async () => expect((await registered(name)).map(({ wrapCount }) => wrapCount)).toEqual([0n, 1n]), {
      timeout: 15_000,
      interval: 200,
    });
  }, 20_000);

  it('are refused of what is no key, or not there', async () => {
    const refused = (parent: string) => refusalOf(operator.registrations.listRegistrations({ parent })).then(({ reason }) => reason);
    expect(await refused('keyRings/x')).toBe('MALFORMED_NAME');
    expect(await refused(`${customer.ring}/keys/none`)).toBe('NOT_FOUND');
    const { name } = await customer.newKey();
    expect(await refusalOf(customer.manager.registrations.listRegistrations({ parent: name, pageSize: -1 }))).toMatchObject({
      fields: ['page_size'],
    });
    expect((await refusalOf(store.registrations.listRegistrations({ parent: 'keyRings/provider/keys/x' }))).code).toBe('NOT_FOUND');
  });
});

describe('a scope that is retained', () => {
  it('stands against the deletion of its key, forced or not, against its destruction, and against its own', async () => {
    const { name } = await customer.newKey();
    const { scope } = await newWrap(store, name);
    expect(await retain(store, scope, true)).toMatchObject({ name: scope, retained: true });
    expect((await registered(name))[0]).toMatchObject({ scope, retained: true });
    const { manager, purger } = customer;
    const destroying = () => store.envelopes.destroyScope({ name: scope });
    expect(await refusalOf(manager.keys.deleteRootKey({ name, force: true, reason: 'a test' }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'SCOPE_RETAINED',
    });
    expect(await refusalOf(destroying())).toMatchObject({ reason: 'SCOPE_RETAINED', metadata: { scope } });
    // A key that was deleted before is not destroyed, neither early nor when its time has come.
    await retain(store, scope, false);
    await manager.keys.deleteRootKey({ name, force: true, reason: 'a test' });
    await retain(store, scope, true);
    expect((await refusalOf(purger.keys.destroyRootKey({ name }))).reason).toBe('SCOPE_RETAINED');
    await retain(store, scope, false);
    expect((await destroying()).state).toBe(Scope_State.DESTROYED);
    await purger.keys.destroyRootKey({ name });
  });

  it('is of the service that registered it: to another one it does not exist', async () => {
    await using keys = await openKeysToAll(stack);
    using worker = clientsOf(keys.stack, 'worker');
    const { name } = await customer.newKey();
    const { scope } = await newWrap(store, name);
    const refused = await refusalOf(retain(worker, scope, true));
    const absent = await refusalOf(retain(worker, `scopes/${randomUUID()}`, true));
    expect([refused.code, refused.reason]).toEqual([absent.code, absent.reason]);
    expect(refused.code).toBe('NOT_FOUND');
    expect((await registered(name))[0]!.retained).toBe(false);
  });

  it('is recorded with its reason, may be set twice, and needs a reason and a living scope', async () => {
    const { name } = await customer.newKey();
    const { scope } = await newWrap(store, name);
    for (let i = 0; i < 2; i++) expect((await retain(store, scope, true)).retained).toBe(true);
    const entries = () => entriesOf(auditor, { resource: scope, principal: spiffeIdOf('store') });
    await vi.waitFor(async () => {
      const told = (await entries()).map(({ event }) => event!).filter(({ action }) => action === 'keys.scope.retain');
      expect(told.map(({ attributes }) => [attributes.get('retained'), attributes.get('reason')])).toEqual([
        ['true', 'a case in court'],
        ['true', 'a case in court'],
      ]);
    });
    expect(await refusalOf(retain(store, scope, false, ' '))).toMatchObject({ reason: 'INVALID_FIELD', fields: ['reason'] });
    expect(await refusalOf(retain(store, scope, false, 'x'.repeat(1_025)))).toMatchObject({ reason: 'INVALID_FIELD', fields: ['reason'] });
    expect(await refusalOf(retain(store, 'scopes/x', true))).toMatchObject({ reason: 'MALFORMED_NAME', fields: ['scope'] });
    await retain(store, scope, false);
    await store.envelopes.destroyScope({ name: scope });
    expect((await refusalOf(retain(store, scope, true))).reason).toBe('SCOPE_DESTROYED');
    expect((await retain(store, scope, false)).state).toBe(Scope_State.DESTROYED);
  });
});
