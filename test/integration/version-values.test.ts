// Values of versions that the store opens for itself: a rollback, which copies one, and a write that makes a version only if the value has
// changed. Neither answers a value, and neither tells one to who may not read it.
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance, RetentionPolicy } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { SecretPayload_Kind, SecretVersion_State, type SecretPayload } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, data, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'auditor')];
const path = newId('writer');
let writer: Clients;
let tenant: Tenant;
beforeAll(async () => {
  writer = await clientsAs(stack, path);
  tenant = await newTenant(operator);
  await bind(operator, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  await bind(operator, tenant.group, spiffe(path), Role.WRITER);
});
afterAll(() => [operator, app, auditor, writer].forEach((clients) => clients[Symbol.dispose]()));

const newSecret = async (...values: SecretPayload[]): Promise<string> => {
  const { name } = await app.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: values[0], ...fresh() });
  for (const payload of values.slice(1)) await app.secrets.addSecretVersion({ parent: name, payload, ...fresh() });
  return name;
};
const read = async (name: string, version: string | number) =>
  (await app.access.accessSecretVersion({ name: `${name}/versions/${version}` })).payload;
const destroy = (name: string) => operator.secrets.destroySecretVersion({ name, ...fresh() });
const add = (parent: string, payload: SecretPayload, as = app) =>
  as.secrets.addSecretVersion({ parent, payload, onlyIfChanged: true, ...fresh() });

describe('a rollback', () => {
  it.each([
    ['text', text('old'), SecretPayload_Kind.TEXT],
    ['bytes', data(randomBytes(100)), SecretPayload_Kind.BYTES],
    ['nothing', text(''), SecretPayload_Kind.TEXT],
    ['a text without a checksum', { ...text('old'), crc32c: undefined }, SecretPayload_Kind.TEXT],
  ])('makes a new version with the value of an old one, of %s, and leaves the others as they are', async (_, value, kind) => {
    const name = await newSecret(value, text('new'));
    const [before] = (await app.secrets.listSecretVersions({ parent: name })).secretVersions.slice(-1);
    const made = await app.secrets.rollbackSecret({ name, version: 1, ...fresh() });
    expect(made).toMatchObject({ name: `${name}/versions/3`, state: SecretVersion_State.ENABLED, kind, copiedFromVersion: 1 });
    expect([made.sizeBytes, made.clientSpecifiedCrc32c]).toEqual([before!.sizeBytes, before!.clientSpecifiedCrc32c]);
    expect(made.aliases).toEqual(['latest']);
    expect((await read(name, 'latest'))?.value).toEqual(value.value);
    expect(await read(name, 2)).toEqual(text('new'));
    await destroy(`${name}/versions/1`);
    expect((await read(name, 3))?.value).toEqual(value.value);
    expect(await app.secrets.getSecretVersion({ name: `${name}/versions/1` })).toMatchObject({ copiedFromVersion: 0 });
  });

  it('needs no right to read, since it answers no value, and is in both logs under who asked for it', async () => {
    const name = await newSecret(text('old'), text('new'));
    const id = randomUUID();
    await writer.secrets.rollbackSecret({ name, version: 1, ...fresh() }, { metadata: { 'x-correlation-id': id } });
    const told = (await entriesOfCall(auditor, id, 3)).map(({ event, source }) => [
      source,
      event?.action,
      event?.resource,
      event?.principal,
    ]);
    expect(told).toEqual(
      expect.arrayContaining([
        [spiffeIdOf('keys'), 'keys.dek.unwrap', expect.any(String), spiffeIdOf('store')],
        [spiffeIdOf('keys'), 'keys.dek.generate', expect.any(String), spiffeIdOf('store')],
        [spiffeIdOf('store'), 'secrets.secret.rollback', `${name}/versions/3`, spiffe(path)],
      ]),
    );
    const [entry] = (await entriesOfCall(auditor, id, 3)).filter(({ source }) => source === spiffeIdOf('store'));
    expect(Object.fromEntries(entry!.event!.attributes)).toEqual({ version: '3', copiedFrom: '1' });
  });

  it('is refused of a version that is disabled, destroyed, about to be, or not there, and with a stale etag', async () => {
    const name = await newSecret(text('1'), text('2'), text('3'));
    const { etag } = await app.secrets.getSecret({ name });
    const refused = (version: number, more = {}) => properRefusalOf(app.secrets.rollbackSecret({ name, version, ...fresh(), ...more }));
    await app.secrets.disableSecretVersion({ name: `${name}/versions/1`, ...fresh() });
    expect(await refused(1)).toMatchObject({ reason: 'VERSION_DISABLED', metadata: { resource: `${name}/versions/1` } });
    await destroy(`${name}/versions/1`);
    expect(await refused(1)).toMatchObject({ reason: 'VERSION_DESTROYED', metadata: { resource: `${name}/versions/1` } });
    expect(await refused(4)).toMatchObject({ code: 'NOT_FOUND', metadata: { resource: `${name}/versions/4` } });
    for (const version of [0, -1]) expect(await refused(version)).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['version'] });
    await app.secrets.addSecretVersion({ parent: name, payload: text('4'), ...fresh() });
    expect(await refused(2, { etag })).toMatchObject({ code: 'ABORTED', reason: 'ETAG_MISMATCH' });

    const own = await newTenant(operator);
    const retentionPolicy = RetentionPolicy.fromPartial({ version: { seconds: 3_600n } });
    await operator.instances.updateInstance({ instance: Instance.fromPartial({ name: own.instance, retentionPolicy }), ...fresh() });
    const other = await operator.secrets.createSecret({ parent: own.group, secretId: 's', payload: text('v'), ...fresh() });
    await destroy(`${other.name}/versions/1`);
    expect(await properRefusalOf(operator.secrets.rollbackSecret({ name: other.name, version: 1, ...fresh() }))).toMatchObject({
      reason: 'VERSION_DESTROY_SCHEDULED',
    });
    expect((await app.secrets.getSecret({ name })).latestVersion).toBe(4);
  });

  it('beside writers gets a number of its own', async () => {
    const name = await newSecret(text('old'));
    const made = await Promise.all(
      Array.from({ length: 6 }, (_, i) =>
        i % 2 === 0
          ? app.secrets.rollbackSecret({ name, version: 1, ...fresh() })
          : app.secrets.addSecretVersion({ parent: name, payload: text(`${i}`), ...fresh() }),
      ),
    );
    expect(new Set(made.map((version) => version.name)).size).toBe(6);
    for (const { name: version, copiedFromVersion } of made)
      if (copiedFromVersion === 1) expect((await app.access.accessSecretVersion({ name: version })).payload).toEqual(text('old'));
  });
});

describe('a write only if the value has changed', () => {
  it('answers the newest version if it has the value, and makes none', async () => {
    const name = await newSecret(text('old'), text('new'));
    const before = await app.secrets.getSecret({ name });
    const id = randomUUID();
    const request = { parent: name, payload: text('new'), onlyIfChanged: true, ...fresh() };
    const answer = await app.secrets.addSecretVersion(request, { metadata: { 'x-correlation-id': id } });
    expect(answer).toEqual(await app.secrets.getSecretVersion({ name: `${name}/versions/2` }));
    expect(await app.secrets.addSecretVersion(request)).toEqual(answer);
    expect(await app.secrets.getSecret({ name })).toEqual(before);
    const [entry] = (await entriesOfCall(auditor, id, 2)).filter(({ source }) => source === spiffeIdOf('store'));
    expect(Object.fromEntries(entry!.event!.attributes)).toEqual({ version: '2', unchanged: 'true' });
  });

  it('makes one for every other value, also one that is older, one of another kind, and the first', async () => {
    const { name } = await app.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), ...fresh() });
    const values = [text(''), text('a'), text(''), data(Buffer.alloc(0)), data(Buffer.from('a')), text('a'), text('b')];
    for (const [i, value] of values.entries()) expect((await add(name, value)).name).toBe(`${name}/versions/${i + 1}`);
    for (const again of [text('b'), text('b')]) expect((await add(name, again)).name).toBe(`${name}/versions/7`);
  });

  it('makes one if the newest cannot be read, so that its reply is always one that can', async () => {
    const name = await newSecret(text('v'));
    await app.secrets.disableSecretVersion({ name: `${name}/versions/1`, ...fresh() });
    expect((await add(name, text('v'))).name).toBe(`${name}/versions/2`);
    await destroy(`${name}/versions/2`);
    expect((await add(name, text('v'))).name).toBe(`${name}/versions/3`);
  });

  it('is denied to who may write and not read, whatever the value is: he would learn it by guessing', async () => {
    const name = await newSecret(text('v'));
    const [equal, other] = [await properRefusalOf(add(name, text('v'), writer)), await properRefusalOf(add(name, text('w'), writer))];
    expect(equal).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'PERMISSION_DENIED' });
    expect(other).toEqual(equal);
    expect((await writer.secrets.addSecretVersion({ parent: name, payload: text('v'), ...fresh() })).name).toBe(`${name}/versions/2`);
  });

  it('of one value from twenty writers at once makes one version', async () => {
    const name = await newSecret(text('old'));
    const made = await Promise.all(Array.from({ length: 20 }, () => add(name, text('new'))));
    expect(new Set(made.map((version) => version.name))).toEqual(new Set([`${name}/versions/2`]));
    expect((await app.secrets.getSecret({ name })).latestVersion).toBe(2);
  });
});
