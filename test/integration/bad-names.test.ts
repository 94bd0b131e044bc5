// Names that are none, of every kind of resource: each is refused by its shape, and neither the answer nor the log has
// trouble with what was sent.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Binding, Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { SecretGroup } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf, type Clients, type Options } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, fresh, newId, newTenant, text } from '../support/tenants.ts';
import { stateOf } from '../support/unchanged.ts';

const stack = inject('stack');
const [operator, auditor, store] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor'), clientsOf(stack, 'store')];
const path = newId('names');
let caller: Clients;
beforeAll(async () => {
  caller = await clientsAs(stack, path);
  await bind(operator, 'system', spiffe(path), Role.MANAGER, Role.SECRETS_READER);
});
afterAll(() => [operator, auditor, store, caller].forEach((clients) => clients[Symbol.dispose]()));

const long = 'x'.repeat(64);
/** What is not an ID. */
const BAD_IDS = [
  '',
  'A',
  'Upper',
  '1st',
  '-a',
  'a-',
  'a_b',
  'a.b',
  'a b',
  'a/b',
  '..',
  'a%2fb',
  'ä',
  '💥',
  'a\u0000',
  'a\n',
  long,
  'x'.repeat(5_000),
];
const BAD_VERSIONS = ['', '0', '01', '-1', '+1', '1.0', '1e1', 'LATEST', 'new_est', '1000000000', '99999999999999999999', '1\n', '٣'];
const of = (shape: string, ids: readonly string[] = BAD_IDS): string[] => ids.map((id) => shape.replace('*', id));

const NAMES: Readonly<Record<string, string[]>> = {
  instance: [...of('instances/*'), 'instance/a', 'Instances/a', '/instances/a', 'instances/a/', 'instances/a/groups/b', ' instances/a'],
  group: [...of('instances/*/groups/a'), ...of('instances/a/groups/*'), 'instances/a/group/b', 'groups/b', 'instances/a//groups/b'],
  secret: [...of('instances/*/groups/a/secrets/a'), ...of('instances/a/groups/a/secrets/*'), 'instances/a/secrets/b'],
  version: [...of('instances/a/groups/a/secrets/*/versions/1'), ...of('instances/a/groups/a/secrets/a/versions/*', BAD_VERSIONS)],
  purge: ['', 'purges/', 'purges/1', `purges/${randomUUID().toUpperCase()}`, `purges/${randomUUID()}/`, `purge/${randomUUID()}`],
  scope: ['', 'System', 'system/', 'everything', ...of('instances/*'), ...of('instances/a/groups/*'), 'instances/a/groups/b/secrets/c'],
};

type Call = (name: string, options: Options) => Promise<unknown>;
const CALLS: Readonly<Record<keyof typeof NAMES, Readonly<Record<string, Call>>>> = {
  instance: {
    GetInstance: (name, o) => caller.instances.getInstance({ name }, o),
    UpdateInstance: (name, o) => caller.instances.updateInstance({ instance: Instance.fromPartial({ name }), ...fresh() }, o),
    DeleteInstance: (name, o) => caller.instances.deleteInstance({ name, ...fresh() }, o),
    CreateSecretGroup: (parent, o) => caller.groups.createSecretGroup({ parent, secretGroupId: 'a', ...fresh() }, o),
    ListSecretGroups: (parent, o) => caller.groups.listSecretGroups({ parent }, o),
  },
  group: {
    GetSecretGroup: (name, o) => caller.groups.getSecretGroup({ name }, o),
    UpdateSecretGroup: (name, o) => caller.groups.updateSecretGroup({ secretGroup: SecretGroup.fromPartial({ name }), ...fresh() }, o),
    UndeleteSecretGroup: (name, o) => caller.groups.undeleteSecretGroup({ name, ...fresh() }, o),
    CreateSecret: (parent, o) => caller.secrets.createSecret({ parent, secretId: 'a', payload: text('v'), ...fresh() }, o),
    ListSecrets: (parent, o) => caller.secrets.listSecrets({ parent }, o),
  },
  secret: {
    GetSecret: (name, o) => caller.secrets.getSecret({ name }, o),
    UpdateSecret: (name, o) => caller.secrets.updateSecret({ secret: Secret.fromPartial({ name }), ...fresh() }, o),
    AddSecretVersion: (parent, o) => caller.secrets.addSecretVersion({ parent, payload: text('v'), ...fresh() }, o),
    RollbackSecret: (name, o) => caller.secrets.rollbackSecret({ name, version: 1, ...fresh() }, o),
    SetVersionAlias: (name, o) => caller.aliases.setVersionAlias({ name, alias: 'a', version: 1, ...fresh() }, o),
    DeleteVersionAlias: (name, o) => caller.aliases.deleteVersionAlias({ name, alias: 'a', ...fresh() }, o),
    ListSecretVersions: (parent, o) => caller.secrets.listSecretVersions({ parent }, o),
  },
  version: {
    AccessSecretVersion: (name, o) => caller.access.accessSecretVersion({ name }, o),
    GetSecretVersion: (name, o) => caller.secrets.getSecretVersion({ name }, o),
    DisableSecretVersion: (name, o) => caller.secrets.disableSecretVersion({ name, ...fresh() }, o),
    CreateSecretLock: (parent, o) => caller.locks.createSecretLock({ parent, lockId: 'a', ...fresh() }, o),
    ListSecretLocks: (parent, o) => caller.locks.listSecretLocks({ parent }, o),
    DeleteSecretLock: (name, o) => caller.locks.deleteSecretLock({ name: `${name}/locks/a`, ...fresh() }, o),
    DeleteSecretLocks: (parent, o) => caller.locks.deleteSecretLocks({ parent, lockIdPattern: '*', ...fresh() }, o),
    DestroySecretVersion: (name, o) => caller.secrets.destroySecretVersion({ name, ...fresh() }, o),
  },
  purge: { GetPurge: (name, o) => caller.purges.getPurge({ name }, o) },
  scope: {
    CreateBinding: (scope, o) =>
      caller.bindings.createBinding({ binding: Binding.fromPartial({ scope, principal: spiffe('x'), role: Role.READER }), ...fresh() }, o),
    ListBindings: (scope, o) => caller.bindings.listBindings({ scope }, o),
  },
};

const KEY_NAMES: Readonly<Record<string, { names: string[]; call: Call }>> = {
  'key ring': {
    names: ['', 'keyRings/', 'keyrings/a', 'keyRings/A', `keyRings/${long}`],
    call: (parent, o) => store.keys.createRootKey({ parent, rootKeyId: 'a', owner: randomUUID() }, o),
  },
  'root key': { names: ['', 'keyRings/a/keys/', 'keyRings/a/keys/B', 'keys/a'], call: (name, o) => store.keys.getRootKey({ name }, o) },
  'scope of a key': {
    names: ['', 'scopes/', 'scopes/1', `scopes/${randomUUID().replace(/^./, 'A')}`],
    call: (name, o) => store.envelopes.getScope({ name }, o),
  },
};

const ALL: [string, string, string[], Call][] = [
  ...Object.entries(CALLS).flatMap(([kind, calls]) =>
    Object.entries(calls).map(([rpc, call]): [string, string, string[], Call] => [rpc, kind, NAMES[kind]!, call]),
  ),
  ...Object.entries(KEY_NAMES).map(([kind, { names, call }]): [string, string, string[], Call] => ['the key service', kind, names, call]),
];

describe('a name that is none', () => {
  it.each(ALL)('is refused by %s: %s', async (_, __, names, call) => {
    for (const name of names) {
      const refused = await properRefusalOf(call(name, {}));
      expect(refused, JSON.stringify(name)).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'MALFORMED_NAME',
        fields: [expect.any(String) as string],
      });
      expect(refused.message.length, 'the message does not repeat what was sent').toBeLessThan(400);
    }
  });

  it('is refused as the ID of something new, and nothing is made', async () => {
    const tenant = await newTenant(operator);
    const before = await stateOf(stack, tenant, spiffe(path));
    const { instance, group } = tenant;
    for (const id of BAD_IDS) {
      const calls = [
        () => caller.instances.createInstance({ instanceId: id, ...fresh() }),
        () => caller.groups.createSecretGroup({ parent: instance, secretGroupId: id, ...fresh() }),
        () => caller.secrets.createSecret({ parent: group, secretId: id, payload: text('v'), ...fresh() }),
        // A root key is named after a UUID, which may begin with a digit.
        () => store.keys.createRootKey({ parent: 'keyRings/provider', rootKeyId: id === '1st' ? '' : id, owner: randomUUID() }),
      ];
      for (const call of calls)
        expect(await properRefusalOf(call()), JSON.stringify(id)).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'MALFORMED_NAME' });
    }
    expect(await stateOf(stack, tenant, spiffe(path))).toEqual(before);
  });

  it('is in the audit log as far as it can be told, one entry for each call', async () => {
    const begin = await sizeOf(auditor);
    for (const id of BAD_IDS) await properRefusalOf(caller.instances.getInstance({ name: `instances/${id}` }));
    const entries = await entriesOf(auditor, { principal: spiffe(path) }, begin);
    expect(entries).toHaveLength(BAD_IDS.length);
    expect(new Set(entries.map(({ event }) => event?.reason))).toEqual(new Set(['MALFORMED_NAME']));
    expect(entries[0]?.event?.principal).toBe(spiffe(path));
    expect(spiffeIdOf('store')).toBe(entries[0]?.source);
  });
});
