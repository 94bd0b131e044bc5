// Text from all over the world, and what only looks like text: what is taken comes back as it was, what cannot be kept as it
// is is refused and not repaired.
import { Client } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { addressOf, spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { CreateSecretRequest, Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { clientsOf, connectWith, type Clients, type Options } from '../support/clients.ts';
import { clientsAs, materialFor, spiffe } from '../support/identities.ts';
import { callRaw } from '../support/refusals.ts';
import { bind, data, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import { refuses } from '../support/unchanged.ts';

const stack = inject('stack');
const [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
const path = newId('writer');
let app: Clients;
let raw: Client;
let tenant: Tenant;
beforeAll(async () => {
  app = await clientsAs(stack, path);
  raw = connectWith(addressOf(stack, 'store'), await materialFor(stack, { uris: [spiffe(path)] }));
  tenant = await newTenant(operator);
  await bind(operator, tenant.group, spiffe(path), Role.WRITER, Role.SECRETS_READER);
});
afterAll(() => {
  for (const clients of [operator, app, auditor]) clients[Symbol.dispose]();
  raw.close();
});

const newSecret = (secret: Parameters<typeof Secret.fromPartial>[0], payload = text('v')) =>
  app.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), secret: Secret.fromPartial(secret), payload, ...fresh() });
const readBack = async (payload: ReturnType<typeof text>) => {
  const { name } = await newSecret({}, payload);
  return (await app.access.accessSecretVersion({ name: `${name}/versions/latest` })).payload;
};

describe('a payload', () => {
  it.each([
    ['nothing', ''],
    ['every control character', Array.from({ length: 32 }, (_, i) => String.fromCharCode(i)).join('')],
    ['a PEM key with line ends of all kinds', '-----BEGIN-----\r\nAAAA\n\r-----END-----\n'],
    ['a byte-order mark', '\ufeffvalue'],
    ['characters of four bytes, joined', '👩‍👩‍👧‍👦 𝔘𝔫𝔦𝔠𝔬𝔡𝔢'],
    ['letters that a normal form would change', 'e\u0301 \u00e9 \u212b \ufb01'],
    ['text from right to left', 'سر \u202e reversed'],
    ['noncharacters and the replacement character', '\ufffe\uffff\ufffd'],
    ['what looks like SQL, JSON and a template', `'; drop table secrets; -- {"a":1} \${process.env.HOME} %s`],
  ])('of %s comes back as it was', async (_, value) => {
    expect(await readBack(text(value))).toEqual(text(value));
    const bytes = data(Buffer.from(value, 'utf8'));
    expect(await readBack(bytes)).toEqual(bytes);
  });

  it('of every byte there is comes back as it was', async () => {
    const bytes = data(Buffer.from(Array.from({ length: 256 }, (_, i) => i)));
    expect(await readBack(bytes)).toEqual(bytes);
  });
});

/** As a client in a language without checks would send it. */
const encoded = (fill: (request: CreateSecretRequest) => void, from: string, to: Buffer): Buffer => {
  const request = CreateSecretRequest.fromPartial({ parent: tenant.group, secretId: newId('s'), requestId: randomUUID() });
  fill(request);
  const bytes = Buffer.from(CreateSecretRequest.encode(request).finish());
  const at = bytes.indexOf(from);
  expect(from.length).toBe(to.length);
  return Buffer.concat([bytes.subarray(0, at), to, bytes.subarray(at + from.length)]);
};
const BAD_UTF8: [string, Buffer][] = [
  ['a byte that begins nothing', Buffer.from('ab\xffc', 'latin1')],
  ['a character cut short', Buffer.from('abc\xe2', 'latin1')],
  ['half of a surrogate pair', Buffer.from('\xed\xa0\x80d', 'latin1')],
  ['an overlong slash', Buffer.from('ab\xc0\xaf', 'latin1')],
];

describe('a text that is not well-formed UTF-8', () => {
  it.each(BAD_UTF8)('is refused in a payload, not repaired: %s', async (_, bad) => {
    const probe = { stack, tenant, auditor, principal: spiffe(path), source: spiffeIdOf('store') };
    const bytes = encoded((request) => (request.payload = { ...text('ABCD'), crc32c: undefined }), 'ABCD', bad);
    const call = (options: Options) => callRaw(raw, '/strongroom.secrets.v1.SecretService/CreateSecret', bytes, options);
    await refuses(probe, call, { code: 'INVALID_ARGUMENT', reason: 'MALFORMED_MESSAGE' });
  });

  it.each(BAD_UTF8)('is refused in metadata: %s', async (_, bad) => {
    const probe = { stack, tenant, auditor, principal: spiffe(path), source: spiffeIdOf('store') };
    const bytes = encoded((request) => (request.secret = Secret.fromPartial({ description: 'ABCD' })), 'ABCD', bad);
    const call = (options: Options) => callRaw(raw, '/strongroom.secrets.v1.SecretService/CreateSecret', bytes, options);
    await refuses(probe, call, { code: 'INVALID_ARGUMENT', reason: 'MALFORMED_MESSAGE' });
  });
});

describe('metadata', () => {
  it('comes back as it was, its description in the composed form', async () => {
    const description = 'Zugang für Ærø 🔑\n\tسر e\u0301 <b>&amp;</b> \u202e';
    const annotations = new Map([['note', '💥'.repeat(1_024)]]);
    const made = await newSecret({ description, annotations });
    const read = await app.secrets.getSecret({ name: made.name });
    expect({ ...read, usage: undefined }).toEqual(made);
    expect(read.description).toBe(description.normalize('NFC'));
    expect(read.annotations).toEqual(annotations);
  });

  it('counts characters, not bytes or code units: 1024 of four bytes each fit a description', async () => {
    const description = '𝔘'.repeat(1_024);
    expect((await newSecret({ description })).description).toBe(description);
  });

  it('takes label keys that mean something to JavaScript as what they are', async () => {
    const labels = new Map([
      ['constructor', 'a'],
      ['prototype', 'b'],
      ['to-string', 'c'],
      ['valueof', 'd'],
      ['hasownproperty', 'e'],
    ]);
    const { name } = await newSecret({ labels });
    expect((await app.secrets.getSecret({ name })).labels).toEqual(labels);
  });

  it('takes 64 labels and 64 annotations at their longest', async () => {
    const keys = Array.from({ length: 64 }, (_, i) => `k${i}`.padEnd(63, 'x'));
    const labels = new Map(keys.map((key) => [key, 'v'.repeat(63)]));
    const annotations = new Map(keys.map((key) => [key, 'v'.repeat(1_024)]));
    const { name } = await newSecret({ labels, annotations });
    expect(await app.secrets.getSecret({ name })).toMatchObject({ labels, annotations });
  });
});
