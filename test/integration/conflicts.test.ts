// Changes that come too late, twice, or from somebody who must not know: etags, request ids, and what is hidden.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Binding, Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { SecretGroup } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { clientsOf, type Clients, type Options } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import { refuses, type Expected, type Probe } from '../support/unchanged.ts';

const stack = inject('stack');
const [operator, app2, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app2'), clientsOf(stack, 'auditor')];
const path = newId('caller');
let caller: Clients;
let tenant: Tenant;
let secret = '';
let probe: Probe;
beforeAll(async () => {
  caller = await clientsAs(stack, path);
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffe(path), Role.MANAGER, Role.SECRETS_READER);
  secret = (await caller.secrets.createSecret({ parent: tenant.group, secretId: 'known', payload: text('v'), ...fresh() })).name;
  probe = { stack, tenant, auditor, principal: spiffe(path), source: spiffeIdOf('store') };
});
afterAll(() => [operator, app2, auditor, caller].forEach((clients) => clients[Symbol.dispose]()));

const stale = '"00000000-1"';
const version = () => `${secret}/versions/1`;
type Call = (o: Options) => Promise<unknown>;

describe('a stale etag', () => {
  const MISMATCH: Expected = { code: 'ABORTED', reason: 'ETAG_MISMATCH' };
  const guarded = { etag: stale };
  it.each<[string, Call]>([
    [
      'UpdateInstance',
      (o) =>
        caller.instances.updateInstance(
          { instance: Instance.fromPartial({ name: tenant.instance, displayName: 'x', ...guarded }), ...fresh() },
          o,
        ),
    ],
    ['DeleteInstance', (o) => caller.instances.deleteInstance({ name: tenant.instance, ...guarded, ...fresh() }, o)],
    [
      'UpdateSecretGroup',
      (o) =>
        caller.groups.updateSecretGroup(
          { secretGroup: SecretGroup.fromPartial({ name: tenant.group, displayName: 'x', ...guarded }), ...fresh() },
          o,
        ),
    ],
    ['DeleteSecretGroup', (o) => caller.groups.deleteSecretGroup({ name: tenant.group, ...guarded, ...fresh() }, o)],
    [
      'UpdateSecret',
      (o) => caller.secrets.updateSecret({ secret: Secret.fromPartial({ name: secret, description: 'x', ...guarded }), ...fresh() }, o),
    ],
    ['DeleteSecret', (o) => caller.secrets.deleteSecret({ name: secret, ...guarded, ...fresh() }, o)],
    ['RollbackSecret', (o) => caller.secrets.rollbackSecret({ name: secret, version: 1, ...guarded, ...fresh() }, o)],
    ['SetVersionAlias', (o) => caller.aliases.setVersionAlias({ name: secret, alias: 'stable', version: 1, ...guarded, ...fresh() }, o)],
    ['DeleteVersionAlias', (o) => caller.aliases.deleteVersionAlias({ name: secret, alias: 'stable', ...guarded, ...fresh() }, o)],
    ['AddSecretVersion', (o) => caller.secrets.addSecretVersion({ parent: secret, payload: text('w'), ...guarded, ...fresh() }, o)],
    ['EnableSecretVersion', (o) => caller.secrets.enableSecretVersion({ name: version(), ...guarded, ...fresh() }, o)],
    ['DisableSecretVersion', (o) => caller.secrets.disableSecretVersion({ name: version(), ...guarded, ...fresh() }, o)],
    ['DestroySecretVersion', (o) => caller.secrets.destroySecretVersion({ name: version(), ...guarded, ...fresh() }, o)],
  ])('aborts %s', (_, call) => refuses(probe, call, MISMATCH));

  it('of a deleted resource aborts its undelete', async () => {
    const doomed = await caller.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), ...fresh() });
    const group = await operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: newId('g'), ...fresh() });
    await caller.secrets.deleteSecret({ name: doomed.name, ...fresh() });
    await caller.groups.deleteSecretGroup({ name: group.name, ...fresh() });
    await refuses(probe, (o) => caller.secrets.undeleteSecret({ name: doomed.name, etag: doomed.etag, ...fresh() }, o), MISMATCH);
    await refuses(probe, (o) => caller.groups.undeleteSecretGroup({ name: group.name, etag: group.etag, ...fresh() }, o), MISMATCH);
  });

  it('is one that was right before somebody else made a change', async () => {
    const before = await caller.secrets.getSecret({ name: secret });
    const changed = await caller.secrets.updateSecret({ secret: Secret.fromPartial({ ...before, description: 'first' }), ...fresh() });
    expect(changed.etag).not.toBe(before.etag);
    const late: Call = (o) =>
      caller.secrets.updateSecret({ secret: Secret.fromPartial({ ...before, description: 'second' }), ...fresh() }, o);
    await refuses(probe, late, MISMATCH);
    expect((await caller.secrets.getSecret({ name: secret })).description).toBe('first');
  });
});

describe('a request id that was used for another request', () => {
  const REUSED: Expected = { code: 'INVALID_ARGUMENT', reason: 'REQUEST_ID_REUSED', field: 'request_id' };

  it('is refused, however little is different, and the first change stays', async () => {
    const secretId = newId('s');
    const request = { parent: tenant.group, secretId, payload: text('first'), ...fresh() };
    const made = await caller.secrets.createSecret(request);
    await refuses(probe, (o) => caller.secrets.createSecret({ ...request, payload: text('First') }, o), REUSED);
    await refuses(probe, (o) => caller.secrets.createSecret({ ...request, payload: { ...text('first'), crc32c: undefined } }, o), REUSED);
    await refuses(probe, (o) => caller.secrets.createSecret({ ...request, secretId: newId('s') }, o), REUSED);
    expect(await caller.secrets.createSecret(request)).toEqual(made);
    expect((await caller.access.accessSecretVersion({ name: `${made.name}/versions/latest` })).payload).toEqual(text('first'));
  });

  it('counts for its caller and its method only: it is no way to see another one’s answers', async () => {
    const requestId = randomUUID();
    const made = await caller.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: text('v'), requestId });
    const refused = await properRefusalOf(
      app2.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: text('v'), requestId }),
    );
    expect(refused.code).toBe('PERMISSION_DENIED');
    const operators = await operator.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: text('v'), requestId });
    expect(operators.uid).not.toBe(made.uid);
    expect((await caller.secrets.deleteSecret({ name: made.name, requestId })).uid).toBe(made.uid);
  });
});

describe('what a caller has no binding for', () => {
  const hidden: Probe = {
    get stack() {
      return stack;
    },
    get tenant() {
      return tenant;
    },
    auditor,
    principal: spiffeIdOf('app2'),
    source: spiffeIdOf('store'),
  };
  const DENIED: Expected = { code: 'PERMISSION_DENIED', reason: 'PERMISSION_DENIED' };
  it.each<[string, (name: string) => string, (name: string, o: Options) => Promise<unknown>]>([
    ['an instance', () => tenant.instance, (name, o) => app2.instances.getInstance({ name }, o)],
    ['a group', () => tenant.group, (name, o) => app2.groups.getSecretGroup({ name }, o)],
    ['a secret', () => secret, (name, o) => app2.secrets.getSecret({ name }, o)],
    ['a payload', () => version(), (name, o) => app2.access.accessSecretVersion({ name }, o)],
    ['a payload by an alias', () => `${secret}/versions/stable`, (name, o) => app2.access.accessSecretVersion({ name }, o)],
    ['a secret to delete', () => secret, (name, o) => app2.secrets.deleteSecret({ name, ...fresh() }, o)],
    [
      'a group to write to',
      () => tenant.group,
      (parent, o) => app2.secrets.createSecret({ parent, secretId: 'x', payload: text('v'), ...fresh() }, o),
    ],
    ['bindings', () => tenant.group, (scope, o) => app2.bindings.listBindings({ scope }, o)],
    [
      'a binding to make for himself',
      () => tenant.group,
      (scope, o) =>
        app2.bindings.createBinding(
          { binding: Binding.fromPartial({ scope, principal: spiffeIdOf('app2'), role: Role.MANAGER }), ...fresh() },
          o,
        ),
    ],
  ])('looks the same whether it is there or not: %s', async (_, nameOf, call) => {
    const there = nameOf('');
    const absent = there.replace(/^instances\/t-.{10}/, `instances/${newId('t')}`);
    await refuses(hidden, (o) => call(there, o), DENIED);
    const answers = [await properRefusalOf(call(there, {})), await properRefusalOf(call(absent, {}))];
    const blank = (refusal: object) => JSON.stringify(refusal).replaceAll(/t-[0-9a-f]{10}/g, 't-?');
    expect(blank(answers[0]!)).toBe(blank(answers[1]!));
  });
});
