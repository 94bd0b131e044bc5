// What services are told of the root keys that they use: everything, in order, within a second, until they say that they know.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role } from '../../src/gen/strongroom/keys/v1/grant_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { grantTo, newCustomer, newWrap, rotate, type Customer } from '../support/customer-keys.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { changeOf, listenTo, openKeysToAll, stateOf, type Listener } from '../support/key-events.ts';
import type { Replica } from '../support/replica.ts';
import { newId } from '../support/tenants.ts';

const stack = inject('stack');
const instance = 'instances/somebodys';
let operator: Clients;
let auditor: Clients;
let customer: Customer;
let keys: Replica;
const opened: Clients[] = [];

beforeAll(async () => {
  [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
  keys = await openKeysToAll(stack);
  customer = await newCustomer(keys.stack, operator);
});
afterAll(async () => {
  [operator, auditor, customer, ...opened].forEach((one) => one[Symbol.dispose]());
  await keys[Symbol.asyncDispose]();
});

interface Service {
  readonly id: string;
  readonly as: Clients;
}

/** A service that nobody else is, with a scope under each of these keys. */
const newService = async (...rootKeys: string[]): Promise<Service> => {
  const path = newId('service');
  const as = await clientsAs(keys.stack, path);
  opened.push(as);
  for (const rootKey of rootKeys) {
    await grantTo(customer.manager, spiffe(path), Role.READER, rootKey, 'instances/-');
    await newWrap(as, rootKey, instance);
  }
  return { id: spiffe(path), as };
};
const acknowledge = ({ as }: Service, { told }: Listener) =>
  as.keyEvents.acknowledgeKeyEvents({ names: told.map(({ event }) => event.name) });
const entriesAbout = async (rootKey: string, action: string) =>
  (await entriesOf(auditor, { resource: rootKey })).map(({ event }) => event!).filter((event) => event.action === action);
const told = (listener: Listener, count: number) =>
  vi.waitFor(() => expect(listener.told).toHaveLength(count), { timeout: 5_000, interval: 10 });

describe('a service that uses a root key', () => {
  it('is told of each change, in order and within a second, with the state that it led to', async () => {
    const { name } = await customer.newKey();
    const service = await newService(name);
    await using listener = await listenTo(service.as);
    const { manager, purger } = customer;
    const grant = { principal: service.id, target: name, role: Role.READER };
    const [standing] = (await manager.grants.listGrants({ target: name })).grants;
    const changes: [string, string, () => Promise<unknown>][] = [
      ['DISABLED', 'DISABLED', () => manager.keys.disableRootKey({ name })],
      ['ENABLED', 'ENABLED', () => manager.keys.enableRootKey({ name })],
      ['ROTATED', 'ENABLED', () => rotate(manager, name)],
      ['GRANT_REVOKED', 'ENABLED', () => manager.grants.deleteGrant({ name: standing!.name, target: name })],
      ['GRANTED', 'ENABLED', () => grantTo(manager, grant.principal, grant.role, grant.target, instance)],
      ['DELETE_SCHEDULED', 'DESTROY_SCHEDULED', () => manager.keys.deleteRootKey({ name, force: true, reason: 'a test' })],
      ['RESTORED', 'DISABLED', () => manager.keys.restoreRootKey({ name })],
      ['DELETE_SCHEDULED', 'DESTROY_SCHEDULED', () => manager.keys.deleteRootKey({ name, force: true, reason: 'a test' })],
      ['DESTROYED', 'DESTROYED', () => purger.keys.destroyRootKey({ name })],
    ];
    for (const [i, [change, state, make]] of changes.entries()) {
      await make();
      const madeAt = performance.now();
      await told(listener, i + 1);
      const last = listener.told[i]!;
      expect([changeOf(last), stateOf(last), last.event.rootKey]).toEqual([change, state, name]);
      expect(last.atMs - madeAt, change).toBeLessThan(1_000);
    }
    expect(listener.told.map(({ event }) => event.instance).filter((one) => one !== '')).toEqual(['instances/-', instance]);
  }, 30_000);

  it('is told once that a key has expired, when it has', async () => {
    const expireTime = new Date(Date.now() + 1_500);
    const { name } = await customer.newKey({ expireTime });
    const service = await newService(name);
    await using listener = await listenTo(service.as);
    await told(listener, 1);
    expect([changeOf(listener.told[0]!), stateOf(listener.told[0]!)]).toEqual(['EXPIRED', 'EXPIRED']);
    expect(Date.now() - expireTime.getTime()).toBeGreaterThanOrEqual(0);
    expect(Date.now() - expireTime.getTime()).toBeLessThan(2_000);
    await vi.waitFor(async () => expect(await entriesAbout(name, 'keys.rootkey.expire')).toHaveLength(1), { timeout: 3_000 });
    await customer.manager.keys.deleteRootKey({ name, force: true, reason: 'a test' });
    await told(listener, 2);
  });

  it('is told again what it has not acknowledged, and never what it has', async () => {
    const { name } = await customer.newKey();
    const service = await newService(name);
    await customer.manager.keys.disableRootKey({ name });
    await customer.manager.keys.enableRootKey({ name });
    {
      await using first = await listenTo(service.as);
      expect(first.told.map(changeOf)).toEqual(['DISABLED', 'ENABLED']);
    }
    await using second = await listenTo(service.as);
    expect(second.told.map(changeOf)).toEqual(['DISABLED', 'ENABLED']);
    await service.as.keyEvents.acknowledgeKeyEvents({ names: [second.told[0]!.event.name] });
    await using third = await listenTo(service.as);
    expect(third.told.map(changeOf)).toEqual(['ENABLED']);
    for (let i = 0; i < 2; i++) await acknowledge(service, second);
    await using fourth = await listenTo(service.as);
    expect(fourth.told).toEqual([]);

    await vi.waitFor(async () => expect(await entriesAbout(name, 'keys.event.acknowledge')).toHaveLength(2), { timeout: 5_000 });
    const [entry] = await entriesAbout(name, 'keys.event.acknowledge');
    expect(entry).toMatchObject({ principal: service.id, outcome: Event_Outcome.SUCCESS });
    expect(Object.fromEntries(entry!.attributes)).toMatchObject({
      event: second.told[0]!.event.name,
      change: 'DISABLED',
      state: 'DISABLED',
      service: service.id,
    });
  });

  it('that does not acknowledge in time is in the audit log once, and is told all the same', async () => {
    const { name } = await customer.newKey();
    const service = await newService(name);
    await customer.manager.keys.disableRootKey({ name });
    const overdue = () => entriesAbout(name, 'keys.event.overdue');
    await vi.waitFor(async () => expect(await overdue()).toHaveLength(1), { timeout: 10_000, interval: 100 });
    expect((await overdue())[0]).toMatchObject({
      principal: spiffe('service/keys'),
      outcome: Event_Outcome.FAILURE,
      reason: 'DEADLINE_EXCEEDED',
    });
    await using listener = await listenTo(service.as);
    expect(listener.told.map(changeOf)).toEqual(['DISABLED']);
    await acknowledge(service, listener);
    await using again = await listenTo(service.as);
    expect(again.told).toEqual([]);
    expect(await overdue()).toHaveLength(1);
  });

  it('hears of changes made at another replica, and of none to keys that it does not use', async () => {
    const [mine, other] = [await customer.newKey(), await customer.newKey()];
    const [service, stranger] = [await newService(mine.name), await newService(other.name)];
    await using listener = await listenTo(service.as);
    await using elsewhere = await listenTo(stranger.as);
    // The operator talks to the stack's own replica.
    await operator.keys.disableRootKey({ name: mine.name });
    const madeAt = performance.now();
    await told(listener, 1);
    expect(listener.told[0]!.atMs - madeAt).toBeLessThan(1_000);
    expect(elsewhere.told).toEqual([]);
    // Nor can it say that it knows.
    await acknowledge(stranger, listener);
    await using again = await listenTo(service.as);
    expect(again.told.map(changeOf)).toEqual(['DISABLED']);
  });

  it('is told nothing of a key under which its last scope is destroyed', async () => {
    const { name } = await customer.newKey();
    const service = await newService(name);
    const [registered] = (await customer.manager.registrations.listRegistrations({ parent: name })).registrations;
    await service.as.envelopes.destroyScope({ name: registered!.scope });
    await customer.manager.keys.disableRootKey({ name });
    await using listener = await listenTo(service.as);
    expect(listener.told).toEqual([]);
  });
});

it('an acknowledgement is refused that names no events, or too many', async () => {
  const { as } = await newService();
  const refused = (names: string[]) =>
    refusalOf(as.keyEvents.acknowledgeKeyEvents({ names })).then(({ reason, fields }) => [reason, ...fields]);
  expect(await refused([])).toEqual(['INVALID_FIELD', 'names']);
  expect(await refused(['keyEvents/1'])).toEqual(['MALFORMED_NAME', 'names']);
  expect(await refused(Array.from({ length: 1_001 }, () => `keyEvents/${randomUUID()}`))).toEqual(['INVALID_FIELD', 'names']);
});
