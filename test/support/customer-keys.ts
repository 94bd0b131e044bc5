// Customers' root keys for tests: a key ring that nobody else uses, its Manager and Purger, and instances under its keys.
import { randomUUID } from 'node:crypto';
import type { Stack } from '../../src/dev/stack.ts';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Grant, Role } from '../../src/gen/strongroom/keys/v1/grant_service.ts';
import { RootKey } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import type { Clients } from './clients.ts';
import { clientsAs, spiffe } from './identities.ts';
import { fresh, newId, type Tenant } from './tenants.ts';

export const grantTo = (as: Clients, principal: string, role: Role, target: string, instance = ''): Promise<Grant> =>
  as.grants.createGrant({ grant: Grant.fromPartial({ principal, role, target, instance }) });

export interface Customer extends Disposable {
  /** `keyRings/{key_ring}`. */
  readonly ring: string;
  readonly manager: Clients;
  readonly managerId: string;
  /** A second Manager, for what needs two. */
  readonly other: Clients;
  readonly purger: Clients;
  newKey(content?: Partial<RootKey>, id?: string): Promise<RootKey>;
}

export const newCustomer = async (stack: Stack, operator: Clients): Promise<Customer> => {
  const { name: ring } = await operator.keyRings.createKeyRing({ keyRingId: newId('ring') });
  const paths = ['manager', 'other', 'purger'].map((role) => newId(role));
  const [manager, other, purger] = await Promise.all(paths.map((path) => clientsAs(stack, path)));
  const [managerId = '', otherId = '', purgerId = ''] = paths.map(spiffe);
  await grantTo(operator, managerId, Role.MANAGER, ring);
  await grantTo(operator, otherId, Role.MANAGER, ring);
  await grantTo(operator, purgerId, Role.PURGER, ring);
  return {
    ring,
    manager: manager!,
    managerId,
    other: other!,
    purger: purger!,
    newKey: (content = {}, rootKeyId = newId('key')) =>
      manager!.keys.createRootKey({ parent: ring, rootKeyId, rootKey: RootKey.fromPartial(content) }),
    [Symbol.dispose]: () => [manager, other, purger].forEach((clients) => clients![Symbol.dispose]()),
  };
};

/** From whatever version it has: the rotation of the master key makes new ones too. */
export const rotate = async (as: Clients, name: string) => {
  const { primaryVersion } = await as.keys.getRootKey({ name });
  return as.keyVersions.rotateRootKey({ name, primaryVersion });
};

/** Lets the store use a key, for an instance or for all. */
export const grantUse = (as: Clients, target: string, instance = 'instances/-'): Promise<Grant> =>
  grantTo(as, spiffeIdOf('store'), Role.READER, target, instance);

/** An instance with a group, under a customer's root key that it is granted. */
export const newTenantUnder = async (operator: Clients, rootKey: string, instanceId = newId('t')): Promise<Tenant> => {
  const instance = await operator.instances.createInstance({
    instanceId,
    instance: Instance.fromPartial({ rootKey, retention: { seconds: 3_600n } }),
    ...fresh(),
  });
  const group = await operator.groups.createSecretGroup({ parent: instance.name, secretGroupId: 'main', ...fresh() });
  return { instance: instance.name, instanceUid: instance.uid, rootKey: instance.rootKey, group: group.name, groupUid: group.uid };
};

/** A scope of the store under a root key, and a DEK that it has wrapped. */
export const newWrap = async (store: Clients, rootKey: string, instance = 'instances/somebodys') => {
  const instanceUid = randomUUID();
  const scope = (await store.envelopes.createScope({ scopeUid: randomUUID(), rootKey, instanceUid, instance })).name;
  const context = { instanceUid, resourceUid: randomUUID(), version: 1, additionalData: Buffer.alloc(0) };
  const { dek, wrappedDek } = await store.envelopes.generateDek({ scope, context });
  return { scope, context, dek, wrappedDek };
};
