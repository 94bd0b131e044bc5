// Requests that are well-formed messages and no good: each gets its code and its reason, nothing changes, and the audit log
// shows who tried it.
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Binding, Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { SecretGroup } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { Secret, type SecretPayload } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { clientsOf, type Clients, type Options } from '../support/clients.ts';
import { clientsAs, spiffe } from '../support/identities.ts';
import { bind, data, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';
import { refuses, type Expected, type Probe } from '../support/unchanged.ts';

const stack = inject('stack');
const [operator, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'auditor')];
const path = newId('caller');
const value = randomBytes(24).toString('base64url');
let caller: Clients;
let tenant: Tenant;
let secret = '';
let probe: Probe;
let pageToken = '';

beforeAll(async () => {
  caller = await clientsAs(stack, path);
  tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffe(path), Role.MANAGER, Role.SECRETS_READER);
  secret = (await caller.secrets.createSecret({ parent: tenant.group, secretId: 'known', payload: text(value), ...fresh() })).name;
  await caller.secrets.createSecret({ parent: tenant.group, secretId: 'other', payload: text(value), ...fresh() });
  ({ nextPageToken: pageToken } = await caller.secrets.listSecrets({ parent: tenant.group, pageSize: 1 }));
  probe = { stack, tenant, auditor, principal: spiffe(path), source: spiffeIdOf('store'), secrets: [value] };
});
afterAll(() => [operator, auditor, caller].forEach((clients) => clients[Symbol.dispose]()));

type Case = [string, (o: Options) => Promise<unknown>, Expected];
const invalid = (field: string, reason = 'INVALID_FIELD'): Expected => ({ code: 'INVALID_ARGUMENT', reason, field });
const create = (payload: Partial<SecretPayload>, secretMetadata?: Parameters<typeof Secret.fromPartial>[0]) => (o: Options) =>
  caller.secrets.createSecret(
    {
      parent: tenant.group,
      secretId: 'new',
      payload,
      secret: secretMetadata && Secret.fromPartial(secretMetadata),
      ...fresh(),
    },
    o,
  );
const add = (payload: Partial<SecretPayload>) => (o: Options) =>
  caller.secrets.addSecretVersion({ parent: secret, payload, ...fresh() }, o);
const many = (count: number, key = (i: number) => `k${i}`) => new Map(Array.from({ length: count }, (_, i) => [key(i), 'v']));

describe('a payload', () => {
  const MiB = 1024 * 1024;
  it.each([
    ['that is none', create({}), invalid('payload')],
    ['with another CRC32C than its own', create({ ...text(value), crc32c: 1n }), invalid('payload.crc32c', 'CRC32C_MISMATCH')],
    [
      'of bytes with the CRC32C of other bytes',
      add({ ...data(Buffer.from(value)), crc32c: text('x').crc32c }),
      invalid('payload.crc32c', 'CRC32C_MISMATCH'),
    ],
    ['with a negative CRC32C', create({ ...text(value), crc32c: -1n }), invalid('payload.crc32c', 'CRC32C_MISMATCH')],
    [
      'with a CRC32C over 32 bits',
      create({ ...text(value), crc32c: 2n ** 32n + text(value).crc32c! }),
      invalid('payload.crc32c', 'CRC32C_MISMATCH'),
    ],
    ['of bytes, a byte over 1 MiB', create(data(Buffer.alloc(MiB + 1))), invalid('payload', 'PAYLOAD_TOO_LARGE')],
    ['of text, a byte over 1 MiB', create(text('x'.repeat(MiB + 1))), invalid('payload', 'PAYLOAD_TOO_LARGE')],
    ['of text under 1 Mi characters, over 1 MiB', add(text('€'.repeat(MiB / 3 + 1))), invalid('payload', 'PAYLOAD_TOO_LARGE')],
    ['far over the limit', add(data(Buffer.alloc(2 * MiB))), { code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE' }],
  ] satisfies Case[])('%s is refused', (_, call, expected) => refuses(probe, call, expected));

  it.each([
    ['text', text('x'.repeat(MiB))],
    ['text of many-byte characters', text('😀'.repeat(MiB / 4))],
    ['bytes', data(randomBytes(MiB))],
  ])('of 1 MiB of %s is taken, and comes back as it was', async (_, payload) => {
    const version = await caller.secrets.addSecretVersion({ parent: secret, payload, ...fresh() });
    expect(version.sizeBytes).toBe(MiB);
    const read = await caller.access.accessSecretVersion({ name: version.name });
    expect(read.payload?.crc32c).toBe(payload.crc32c);
    expect(JSON.stringify(read.payload?.value) === JSON.stringify(payload.value)).toBe(true);
  });
});

describe('a field', () => {
  it.each([
    [
      'a mask path that is unknown',
      (o) => caller.secrets.updateSecret({ secret: Secret.fromPartial({ name: secret }), updateMask: ['name'], ...fresh() }, o),
      invalid('update_mask', 'UNKNOWN_MASK_PATH'),
    ],
    [
      'a mask path into the payload',
      (o) =>
        caller.secrets.updateSecret(
          { secret: Secret.fromPartial({ name: secret }), updateMask: ['description', 'payload.text'], ...fresh() },
          o,
        ),
      invalid('update_mask', 'UNKNOWN_MASK_PATH'),
    ],
    [
      'a mask path named __proto__',
      (o) =>
        caller.groups.updateSecretGroup(
          { secretGroup: SecretGroup.fromPartial({ name: tenant.group }), updateMask: ['__proto__'], ...fresh() },
          o,
        ),
      invalid('update_mask', 'UNKNOWN_MASK_PATH'),
    ],
    [
      'a mask of * and more',
      (o) =>
        caller.instances.updateInstance(
          { instance: Instance.fromPartial({ name: tenant.instance }), updateMask: ['*', 'labels'], ...fresh() },
          o,
        ),
      invalid('update_mask', 'UNKNOWN_MASK_PATH'),
    ],
    ['a request id that is no UUID', (o) => caller.secrets.deleteSecret({ name: secret, requestId: 'again' }, o), invalid('request_id')],
    ['a page size below zero', (o) => caller.secrets.listSecrets({ parent: tenant.group, pageSize: -1 }, o), invalid('page_size')],
    [
      'a page token that is none',
      (o) => caller.secrets.listSecrets({ parent: tenant.group, pageToken: 'AAAA' }, o),
      invalid('page_token', 'INVALID_PAGE_TOKEN'),
    ],
    [
      'a page token of 100,000 characters',
      (o) => caller.secrets.listSecrets({ parent: tenant.group, pageToken: 'A'.repeat(100_000) }, o),
      invalid('page_token', 'INVALID_PAGE_TOKEN'),
    ],
    [
      'a page token of another list',
      (o) => caller.secrets.listSecretVersions({ parent: secret, pageToken }, o),
      invalid('page_token', 'INVALID_PAGE_TOKEN'),
    ],
    [
      'a page token of the same list with other arguments',
      (o) => caller.secrets.listSecrets({ parent: tenant.group, showDeleted: true, pageToken }, o),
      invalid('page_token', 'INVALID_PAGE_TOKEN'),
    ],
    [
      'a page token with one character changed',
      (o) => caller.secrets.listSecrets({ parent: tenant.group, pageToken: pageToken.replace(/^./, (c) => (c === 'A' ? 'B' : 'A')) }, o),
      invalid('page_token', 'INVALID_PAGE_TOKEN'),
    ],
    ['a description with a control character', create(text(value), { description: 'a\u0000b' }), invalid('secret.description')],
    ['a description of 1025 characters', create(text(value), { description: '€'.repeat(1_025) }), invalid('secret.description')],
    [
      'a display name with an escape sequence',
      (o) =>
        caller.groups.updateSecretGroup(
          { secretGroup: SecretGroup.fromPartial({ name: tenant.group, displayName: '\u001b[2J' }), ...fresh() },
          o,
        ),
      invalid('secret_group.display_name'),
    ],
    ['a label key named __proto__', create(text(value), { labels: new Map([['__proto__', 'x']]) }), invalid('secret.labels')],
    ['a label key with a capital', create(text(value), { labels: new Map([['Team', 'x']]) }), invalid('secret.labels')],
    ['a label value with a space', create(text(value), { labels: new Map([['team', 'a b']]) }), invalid('secret.labels.team')],
    ['65 labels', create(text(value), { labels: many(65) }), invalid('secret.labels')],
    ['10,000 annotations', create(text(value), { annotations: many(10_000) }), invalid('secret.annotations')],
    [
      'an annotation with a control character',
      create(text(value), { annotations: new Map([['note', 'a\u0007']]) }),
      invalid('secret.annotations.note'),
    ],
    [
      'a retention below the configured minimum',
      (o) =>
        caller.instances.updateInstance(
          { instance: Instance.fromPartial({ name: tenant.instance, retention: { seconds: 0n, nanos: 1 } }), ...fresh() },
          o,
        ),
      invalid('instance.retention'),
    ],
    [
      'a negative retention',
      (o) =>
        caller.instances.updateInstance(
          { instance: Instance.fromPartial({ name: tenant.instance, retention: { seconds: -5n } }), ...fresh() },
          o,
        ),
      invalid('instance.retention'),
    ],
    [
      'a retention of a thousand years',
      (o) =>
        caller.instances.updateInstance(
          { instance: Instance.fromPartial({ name: tenant.instance, retention: { seconds: 31_557_600_000n } }), ...fresh() },
          o,
        ),
      invalid('instance.retention'),
    ],
    [
      'a role that is none',
      (o) =>
        caller.bindings.createBinding(
          { binding: Binding.fromPartial({ scope: tenant.group, principal: spiffe('x'), role: 9 as Role }), ...fresh() },
          o,
        ),
      invalid('binding.role'),
    ],
    [
      'a principal that is no SPIFFE ID',
      (o) =>
        caller.bindings.createBinding(
          { binding: Binding.fromPartial({ scope: tenant.group, principal: 'app', role: Role.READER }), ...fresh() },
          o,
        ),
      invalid('binding.principal'),
    ],
    [
      'an alias where a version is to be destroyed',
      (o) => caller.secrets.destroySecretVersion({ name: `${secret}/versions/latest`, ...fresh() }, o),
      invalid('name', 'MALFORMED_NAME'),
    ],
  ] satisfies Case[])('with %s is refused by name', (_, call, expected) => refuses(probe, call, expected));
});
