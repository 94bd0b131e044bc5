// Secrets of every type, over the whole stack: written, generated, read, and refused with the field that is wrong.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import {
  CreateSecretRequest,
  Secret,
  SecretPayload,
  SecretPayload_Kind as Kind,
} from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import {
  CertificateBundle,
  Generator,
  PasswordPolicy_CharacterClass as Class,
  SecretType,
} from '../../src/gen/strongroom/secrets/v1/secret_types.ts';
import { newChain, type Chain } from '../support/chains.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const { secrets, access } = operator;
let tenant: Tenant;
let chain: Chain;
beforeAll(async () => {
  [tenant, chain] = await Promise.all([newTenant(operator), newChain()]);
  await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
});
afterAll(() => operator[Symbol.dispose]());

type Value = SecretPayload['value'];
const payloadOf = (value: Value): SecretPayload => ({ value, crc32c: undefined });
const create = (type: SecretType, given: Partial<CreateSecretRequest> = {}) =>
  secrets.createSecret({ parent: tenant.group, secretId: newId('s'), secret: Secret.fromPartial({ type }), ...fresh(), ...given });
const read = async (name: string, version: number | string = 'latest') =>
  (await access.accessSecretVersion({ name: `${name}/versions/${version}` })).payload?.value;
const valueOf = async (name: string): Promise<unknown> => (await read(name))?.value;
const versionOf = (name: string, version: number | string = 'latest') => secrets.getSecretVersion({ name: `${name}/versions/${version}` });
const entries: Value = {
  $case: 'keyValue',
  value: {
    entries: new Map([
      ['host', 'db.example'],
      ['Größe/.', '字\u0000'],
    ]),
  },
};
const user = (username: string, password: string): Value => ({ $case: 'userCredentials', value: { username, password } });
const bundle = (given: Partial<CertificateBundle> = {}): Value => ({
  $case: 'certificate',
  value: CertificateBundle.fromPartial({ certificateChain: chain.leaf + chain.intermediate, privateKey: chain.key, ...given }),
});
const credentials = (username: string): Generator => Generator.fromPartial({ value: { $case: 'userCredentials', value: { username } } });

describe('a secret of a type', () => {
  it.each<[string, SecretType, () => Value, Kind]>([
    ['KEY_VALUE', SecretType.KEY_VALUE, () => entries, Kind.KEY_VALUE],
    ['USER_CREDENTIALS', SecretType.USER_CREDENTIALS, () => user('app', 'correct horse'), Kind.USER_CREDENTIALS],
    ['CERTIFICATE', SecretType.CERTIFICATE, () => bundle(), Kind.CERTIFICATE],
    ['OPAQUE', SecretType.OPAQUE, () => text('as ever').value, Kind.TEXT],
  ])('%s gives back what was written, version by version', async (_, type, make, kind) => {
    const { name, ...made } = await create(type, { payload: payloadOf(make()) });
    expect(made.type).toBe(type);
    await secrets.addSecretVersion({ parent: name, payload: payloadOf(make()), ...fresh() });
    expect([await read(name, 1), await read(name, 2)]).toEqual([make(), make()]);
    expect(await versionOf(name, 2)).toMatchObject({ kind });
    expect((await secrets.getSecret({ name })).type).toBe(type);
  });

  it('is OPAQUE unless said otherwise, for ever', async () => {
    const { name, type } = await create(SecretType.UNSPECIFIED);
    expect(type).toBe(SecretType.OPAQUE);
    const change = { secret: Secret.fromPartial({ name, type: SecretType.KEY_VALUE }), updateMask: ['type'], ...fresh() };
    expect(await properRefusalOf(secrets.updateSecret(change))).toMatchObject({ reason: 'UNKNOWN_MASK_PATH' });
    expect(await properRefusalOf(create(9 as SecretType))).toMatchObject({ fields: ['secret.type'] });
  });

  it('takes no payload of another type, at its creation or later', async () => {
    const refused = { code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELD', fields: ['payload'] };
    expect(await properRefusalOf(create(SecretType.KEY_VALUE, { payload: text('hush') }), ['hush'])).toMatchObject(refused);
    const { name } = await create(SecretType.CERTIFICATE);
    const wrong = { parent: name, payload: payloadOf(user('app', 'hush')), ...fresh() };
    expect(await properRefusalOf(secrets.addSecretVersion(wrong), ['hush'])).toMatchObject(refused);
    expect((await secrets.getSecret({ name })).latestVersion).toBe(0);
  });

  it('is refused with every field that is wrong, and none of what was in it', async () => {
    const twice = create(SecretType.USER_CREDENTIALS, { payload: payloadOf(user('', 'p\u0000'.repeat(3_000))) });
    expect(await properRefusalOf(twice, ['p\u0000p'])).toMatchObject({
      fields: ['payload.user_credentials.username', 'payload.user_credentials.password'],
    });
    const other = create(SecretType.CERTIFICATE, { payload: payloadOf(bundle({ privateKey: chain.otherKey })) });
    expect(await properRefusalOf(other, [chain.otherKey.slice(30, 60)])).toMatchObject({ fields: ['payload.certificate.private_key'] });
    const reversed = payloadOf(bundle({ certificateChain: chain.intermediate + chain.leaf }));
    expect(await properRefusalOf(create(SecretType.CERTIFICATE, { payload: reversed }))).toMatchObject({
      fields: ['payload.certificate.certificate_chain'],
    });
  });

  it('of a certificate tells when that ends, which has no effect unless asked', async () => {
    const { name } = await create(SecretType.CERTIFICATE, { payload: payloadOf(bundle()) });
    const withCertificate = { at: { $case: 'withCertificate', value: true } } as const;
    const added = await secrets.addSecretVersion({ parent: name, payload: payloadOf(bundle()), expiration: withCertificate, ...fresh() });
    expect(added.certificate).toMatchObject({ notAfterTime: chain.notAfter, subject: 'CN=leaf.example', issuer: 'CN=Intermediate' });
    expect(added.expireTime).toEqual(chain.notAfter);
    expect((await versionOf(name, 1)).expireTime).toBeUndefined();
    expect((await versionOf(name, 1)).certificate).toEqual(added.certificate);
  });
});

describe('a generated value', () => {
  it('follows its policy, is not in the reply, and is read as any other', async () => {
    const digits = { length: 40, classes: [{ characterClass: Class.DIGIT, leastCount: 0 }] };
    const { name, ...reply } = await create(SecretType.OPAQUE, {
      generate: Generator.fromPartial({ value: { $case: 'text', value: digits } }),
    });
    const first = await read(name);
    expect(first?.value).toMatch(/^\d{40}$/);
    expect(JSON.stringify(reply, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))).not.toContain(first?.value);
    const bytes = Generator.fromPartial({ value: { $case: 'data', value: { length: 64 } } });
    await secrets.addSecretVersion({ parent: name, generate: bytes, ...fresh() });
    expect(await valueOf(name)).toHaveLength(64);
    expect(await versionOf(name)).toMatchObject({ kind: Kind.BYTES, sizeBytes: 64, clientSpecifiedCrc32c: false });
  });

  it('of credentials keeps the user of the newest version, unless it gets another one', async () => {
    const { name } = await create(SecretType.USER_CREDENTIALS, { generate: credentials('app') });
    for (const username of ['', 'other', '']) await secrets.addSecretVersion({ parent: name, generate: credentials(username), ...fresh() });
    const all = (await Promise.all([1, 2, 3, 4].map((version) => read(name, version)))).map(
      (value) => value?.value as { username: string; password: string },
    );
    expect(all.map(({ username }) => username)).toEqual(['app', 'app', 'other', 'other']);
    expect(new Set(all.map(({ password }) => password)).size).toBe(4);
  });

  it('is the same one when the request is repeated', async () => {
    const { name } = await create(SecretType.OPAQUE);
    const request = { parent: name, generate: Generator.fromPartial({ value: { $case: 'data', value: {} } }), ...fresh() };
    const [one, two] = [await secrets.addSecretVersion(request), await secrets.addSecretVersion(request)];
    expect(two).toEqual(one);
    expect((await secrets.getSecret({ name })).latestVersion).toBe(1);
  });

  it('is refused beside a payload, for another type, and with the user of a version that cannot be read', async () => {
    const data = Generator.fromPartial({ value: { $case: 'data', value: {} } });
    expect(await properRefusalOf(create(SecretType.OPAQUE, { payload: text('v'), generate: data }))).toMatchObject({
      fields: ['generate'],
    });
    const alone = create(SecretType.OPAQUE, { versionExpiration: { at: { $case: 'ttl', value: { seconds: 9n, nanos: 0 } } } });
    expect(await properRefusalOf(alone)).toMatchObject({ fields: ['version_expiration'] });
    expect(await properRefusalOf(create(SecretType.KEY_VALUE, { generate: data }))).toMatchObject({ fields: ['generate'] });
    expect(await properRefusalOf(create(SecretType.USER_CREDENTIALS, { generate: credentials('') }))).toMatchObject({
      fields: ['generate.user_credentials.username'],
    });
    const { name } = await create(SecretType.USER_CREDENTIALS, { generate: credentials('app') });
    for (const both of [{ payload: payloadOf(user('a', 'b')), generate: credentials('a') }, {}])
      expect(await properRefusalOf(secrets.addSecretVersion({ parent: name, ...both, ...fresh() }))).toMatchObject({ fields: ['payload'] });
    await secrets.disableSecretVersion({ name: `${name}/versions/1`, ...fresh() });
    const next = secrets.addSecretVersion({ parent: name, generate: credentials(''), ...fresh() });
    expect(await properRefusalOf(next)).toMatchObject({ reason: 'VERSION_DISABLED' });
  });

  it('leaves nothing in the database that can be read there', async () => {
    const { name } = await create(SecretType.USER_CREDENTIALS, { generate: credentials('a-user-like-no-other') });
    const { password } = (await valueOf(name)) as { password: string };
    const found = await withDatabase(stack, 'store', async (client) => {
      const tables = ['secrets', 'secret_versions', 'idempotency', 'outbox', 'purges'];
      const { rows } = await client.query<{ all: string }>(
        tables.map((table) => `select t::text as all from ${table} t`).join(' union all '),
      );
      return rows.filter(({ all }) =>
        [password, 'a-user-like-no-other', Buffer.from(password).toString('hex')].some((one) => all.includes(one)),
      );
    });
    expect(found).toEqual([]);
  });
});
