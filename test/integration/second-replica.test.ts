// Two processes of the store, and two of the key service, beside each other: what one has written the other knows, and what
// one has taken away the other does not give out for more than a second.
import { randomUUID } from 'node:crypto';
import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf, decodeRefusal, type Clients } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { startReplica, type Replica } from '../support/replica.ts';
import { bind, fresh, newId, newTenant, text, unbind, type Tenant } from '../support/tenants.ts';
import type { ServiceError } from '@grpc/grpc-js';

const first = inject('stack');
const opened: Clients[] = [];
const as = (stack: typeof first, name: Parameters<typeof clientsOf>[1]): Clients => {
  const clients = clientsOf(stack, name);
  opened.push(clients);
  return clients;
};
const [operator, app, auditor] = [as(first, 'operator'), as(first, 'app'), as(first, 'auditor')];
let keys: Replica;
let store: Replica;
let [operator2, app2nd]: Clients[] = [];
let tenant: Tenant;
beforeAll(async () => {
  keys = await startReplica(first, 'keys');
  store = await startReplica(first, 'store', { keys: { address: keys.address, spiffeId: spiffeIdOf('keys') } });
  [operator2, app2nd] = [as(store.stack, 'operator'), as(store.stack, 'app')];
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  await vi.waitFor(() => app2nd!.groups.getSecretGroup({ name: tenant.group }), 1_000);
});
afterAll(async () => {
  for (const clients of opened) clients[Symbol.dispose]();
  await store[Symbol.asyncDispose]();
  await keys[Symbol.asyncDispose]();
});

const newSecret = async (clients: Clients, value = 'v') => {
  const { name } = await clients.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: text(value), ...fresh() });
  return name;
};
const read = async (clients: Clients, name: string) => (await clients.access.accessSecretVersion({ name })).payload;

describe('two stores', () => {
  it('read at once what the other has written, each through its own key service', async () => {
    for (const [one, other] of [
      [app, app2nd!],
      [app2nd!, app],
    ] as const) {
      const name = await newSecret(one, 'one');
      expect(await read(other, `${name}/versions/latest`)).toEqual(text('one'));
      await other.secrets.addSecretVersion({ parent: name, payload: text('two'), ...fresh() });
      expect(await read(one, `${name}/versions/latest`)).toEqual(text('two'));
      const group = await operator2!.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: newId('g'), ...fresh() });
      expect(await operator.groups.getSecretGroup({ name: group.name })).toEqual(group);
    }
  });

  it('make a change once that is asked of both at once under one request id', async () => {
    for (let i = 0; i < 5; i++) {
      const request = { parent: tenant.group, secretId: newId('s'), payload: text('v'), ...fresh() };
      const [a, b] = await Promise.all([app.secrets.createSecret(request), app2nd!.secrets.createSecret(request)]);
      expect(a).toEqual(b);
      const add = { parent: a.name, payload: text('w'), ...fresh() };
      const versions = await Promise.all([app.secrets.addSecretVersion(add), app2nd!.secrets.addSecretVersion(add)]);
      expect(versions[0]).toEqual(versions[1]);
      expect(versions[0].name).toBe(`${a.name}/versions/2`);
    }
  });

  it('go on with each other’s pages', async () => {
    for (let i = 0; i < 3; i++) await newSecret(app);
    const { nextPageToken } = await app.secrets.listSecrets({ parent: tenant.group, pageSize: 2 });
    const next = await app2nd!.secrets.listSecrets({ parent: tenant.group, pageSize: 2, pageToken: nextPageToken });
    expect(next.secrets).toHaveLength(2);
  });

  it('tell the audit log of every change once', async () => {
    const begin = await sizeOf(auditor);
    const made = await Promise.all(Array.from({ length: 40 }, (_, i) => newSecret(i % 2 ? app : app2nd!)));
    await vi.waitFor(
      async () => {
        const entries = await entriesOf(auditor, { resource: tenant.group }, begin);
        const told = entries.filter(({ event }) => event?.action === 'secrets.secret.create').map(({ event }) => event!.resource);
        expect(told.sort()).toEqual(made.toSorted());
      },
      { timeout: 5_000, interval: 100 },
    );
  });
});

interface Attempt {
  startedAt: number;
  outcome: string;
}
/** Makes the call again and again, several at a time, until told to stop. */
const hammer = (call: () => Promise<unknown>) => {
  const attempts: Attempt[] = [];
  let going = true;
  const one = async (): Promise<void> => {
    for (; going; await setImmediate()) {
      const startedAt = performance.now();
      const outcome = await call().then(
        () => 'OK',
        (error: unknown) => decodeRefusal(error as ServiceError).reason,
      );
      attempts.push({ startedAt, outcome });
    }
  };
  const running = Promise.all([one(), one(), one(), one()]);
  const stop = async (): Promise<void> => {
    going = false;
    await running;
  };
  return { attempts, stop };
};

/** While all these calls are made, and succeed, something is taken away: of those begun more than a second later none does. */
const endWithinASecond = async (calls: (() => Promise<unknown>)[], takeAway: () => Promise<unknown>, reason: string): Promise<void> => {
  const hammers = calls.map(hammer);
  try {
    const oks = () => hammers.map(({ attempts }) => attempts.filter(({ outcome }) => outcome === 'OK').length);
    await vi.waitFor(() => expect(Math.min(...oks())).toBeGreaterThan(20), 10_000);
    await takeAway();
    const doneAt = performance.now();
    await sleep(2_000);
    for (const { attempts } of hammers) {
      const late = attempts.filter(({ startedAt }) => startedAt > doneAt + 1_000);
      expect(late.length).toBeGreaterThan(10);
      expect(new Set(late.map(({ outcome }) => outcome))).toEqual(new Set([reason]));
    }
  } finally {
    await Promise.all(hammers.map(({ stop }) => stop()));
  }
};

describe('a binding', () => {
  it('that is made counts for the next call where it was made, and within a second elsewhere', async () => {
    const path = newId('reader');
    const [here, there] = [await clientsAs(first, path), await clientsAs(store.stack, path)];
    opened.push(here, there);
    const name = await newSecret(app);
    for (const clients of [here, there])
      expect((await properRefusalOf(clients.secrets.getSecret({ name }))).code).toBe('PERMISSION_DENIED');
    for (let i = 0; i < 5; i++) {
      await bind(operator, tenant.group, spiffe(path), Role.READER);
      await here.secrets.getSecret({ name });
      await vi.waitFor(() => there.secrets.getSecret({ name }), { timeout: 1_000, interval: 20 });
      await unbind(operator, tenant.group, spiffe(path), Role.READER);
      expect((await properRefusalOf(here.secrets.getSecret({ name }))).code).toBe('PERMISSION_DENIED');
    }
  });

  it('that is taken away opens nothing more after a second, at either store, under load', async () => {
    const path = newId('reader');
    const [here, there] = [await clientsAs(first, path), await clientsAs(store.stack, path)];
    opened.push(here, there);
    await bind(operator, tenant.group, spiffe(path), Role.SECRETS_READER);
    const name = `${await newSecret(app)}/versions/1`;
    const takeAway = () => unbind(operator, tenant.group, spiffe(path), Role.SECRETS_READER);
    await endWithinASecond([() => read(here, name), () => read(there, name)], takeAway, 'PERMISSION_DENIED');
  });
});

describe('two key services', () => {
  it('use nothing of a scope that one of them has destroyed after a second, under load', async () => {
    const own = await newTenant(operator);
    await bind(operator, own.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
    const { name, uid } = await operator.secrets.createSecret({ parent: own.group, secretId: 'doomed', payload: text('v'), ...fresh() });
    const [storeHere, storeThere] = [as(first, 'store'), as(keys.stack, 'store')];
    const scope = `scopes/${own.groupUid}`;
    const context = { instanceUid: own.instanceUid, resourceUid: uid, version: 1, additionalData: Buffer.alloc(0) };
    const { wrappedDek } = await storeHere.envelopes.generateDek({ scope, context });
    await vi.waitFor(() => read(app2nd!, `${name}/versions/1`), 1_000);
    const calls = [
      () => storeHere.envelopes.unwrapDek({ scope, context, wrappedDek }),
      () => storeThere.envelopes.unwrapDek({ scope, context, wrappedDek }),
      () => storeThere.envelopes.generateDek({ scope, context }),
      () => read(app2nd!, `${name}/versions/1`),
    ];
    await endWithinASecond(calls, () => storeHere.envelopes.destroyScope({ name: scope }), 'SCOPE_DESTROYED');
  });

  it('record every use, whichever of them it was', async () => {
    const begin = await sizeOf(auditor);
    const name = await newSecret(app);
    const id = [randomUUID(), randomUUID()];
    await app.access.accessSecretVersion({ name: `${name}/versions/1` }, { metadata: { 'x-correlation-id': id[0]! } });
    await app2nd!.access.accessSecretVersion({ name: `${name}/versions/1` }, { metadata: { 'x-correlation-id': id[1]! } });
    const entries = await entriesOf(auditor, { resource: name }, begin);
    for (const correlationId of id) {
      const told = entries
        .filter(({ event }) => event?.correlationId === correlationId)
        .map(({ source, event }) => [source, event?.action, event?.outcome]);
      expect(told).toEqual([
        [spiffeIdOf('keys'), 'keys.dek.unwrap', Event_Outcome.SUCCESS],
        [spiffeIdOf('store'), 'secrets.version.access', Event_Outcome.SUCCESS],
      ]);
    }
  });
});
