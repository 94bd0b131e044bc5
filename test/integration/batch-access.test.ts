// Many payloads in one call, and payloads that the caller has already: each as a call of its own would have been answered,
// and each in the audit log under its own name.
import { status } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { AccessSecretVersionRequest, BatchAccessResponse } from '../../src/gen/strongroom/secrets/v1/secret_access_service.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, data, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'auditor')];
afterAll(() => [operator, app, auditor].forEach((clients) => clients[Symbol.dispose]()));

const { secrets } = operator;
let tenant: Tenant;
/** Of another tenant, where the caller may do nothing. */
let foreign: string;
beforeAll(async () => {
  const other = await newTenant(operator);
  foreign = (await secrets.createSecret({ parent: other.group, secretId: 'theirs', payload: text('theirs'), ...fresh() })).name;
  tenant = await newTenant(operator);
  await bind(operator, tenant.group, spiffeIdOf('app'), Role.SECRETS_READER);
});

const newSecret = async (value = text('a value'), parent = tenant.group): Promise<string> =>
  (await secrets.createSecret({ parent, secretId: newId('s'), payload: value, ...fresh() })).name;
const asking = (name: string, ifNoneMatch = '') => AccessSecretVersionRequest.fromPartial({ name, ifNoneMatch });
const access = async (names: readonly string[], id: string = randomUUID()) => {
  const requests = names.map((name) => asking(name));
  return (await app.access.batchAccess({ requests }, { metadata: { 'x-correlation-id': id } })).results;
};
const valueOf = ({ outcome }: BatchAccessResponse['results'][number]) =>
  outcome?.$case === 'response' ? outcome.value.payload?.value?.value : outcome?.value.reason;
const storeEntries = async (id: string, count: number) =>
  (await entriesOfCall(auditor, id, count)).filter(({ source }) => source === spiffeIdOf('store')).map(({ event }) => event!);

describe('many payloads in one call', () => {
  it('come in the order asked for, from several groups, one of them twice, each with the error that a call of its own would have had', async () => {
    const [one, two, off] = [await newSecret(text('one')), await newSecret(text('two')), await newSecret()];
    const { name: second } = await operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: newId('g'), ...fresh() });
    await bind(operator, second, spiffeIdOf('app'), Role.SECRETS_READER);
    const three = await newSecret(text('three'), second);
    await secrets.addSecretVersion({ parent: two, payload: text('two, newer'), ...fresh() });
    await secrets.disableSecretVersion({ name: `${off}/versions/1`, ...fresh() });
    const names = [
      `${two}/versions/previous`,
      `${one}/versions/latest`,
      `${off}/versions/1`,
      `${foreign}/versions/1`,
      `${foreign}x/versions/1`,
      `${one}x/versions/1`,
      `${one}/versions/9`,
      'no name',
      `${three}/versions/1`,
      `${one}/versions/1`,
    ];
    const id = randomUUID();
    const results = await access(names, id);
    const expected = [
      'two',
      'one',
      'VERSION_DISABLED',
      'PERMISSION_DENIED',
      'PERMISSION_DENIED',
      'NOT_FOUND',
      'NOT_FOUND',
      'MALFORMED_NAME',
      'three',
      'one',
    ];
    expect(results.map(valueOf)).toEqual(expected);
    for (const [i, { outcome }] of results.entries()) {
      const alone = app.access.accessSecretVersion({ name: names[i]! });
      if (outcome?.$case === 'response') expect(outcome.value).toEqual(await alone);
      else {
        const { code, reason, message, metadata } = await properRefusalOf(alone);
        expect({ ...outcome?.value, code: status[outcome!.value.code], metadata: Object.fromEntries(outcome!.value.metadata) }).toEqual({
          code,
          reason,
          message,
          metadata,
        });
      }
    }
    // Each is found in the log by its own name, and so is what was refused.
    const told = await storeEntries(id, 10);
    expect(told.map(({ action }) => action)).toEqual(names.map(() => 'secrets.version.access'));
    const byName = (name: string) => told.filter(({ resource }) => resource === name).map(({ outcome }) => outcome);
    expect(byName(`${two}/versions/1`)).toEqual([Event_Outcome.SUCCESS]);
    expect(byName(`${one}/versions/1`)).toEqual([Event_Outcome.SUCCESS, Event_Outcome.SUCCESS]);
    expect(byName(`${foreign}/versions/1`)).toEqual([Event_Outcome.DENIED]);
    expect(byName(`${off}/versions/1`)).toEqual([Event_Outcome.FAILURE]);
    expect(told.filter(({ instanceUid }) => instanceUid === tenant.instanceUid)).toHaveLength(7);
  });

  it('are at most 1,000, and 1,000 are answered', async () => {
    const name = `${await newSecret()}/versions/1`;
    const results = await access(Array.from({ length: 1_000 }, () => name));
    expect(new Set(results.map(valueOf))).toEqual(new Set(['a value']));
    expect(results).toHaveLength(1_000);
    for (const wrong of [[], Array.from({ length: 1_001 }, () => name)])
      expect(await properRefusalOf(access(wrong))).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['requests'] });
  });

  it('fill a reply of at most 4 MiB: the rest says that it is to be asked for again, and then comes', async () => {
    const big = await newSecret(data(Buffer.alloc(1024 * 1024, 7)));
    const small = await newSecret();
    const names = [...Array.from({ length: 5 }, () => `${big}/versions/1`), `${small}/versions/1`];
    const requests = names.map((name) => asking(name));
    const reply = await app.access.batchAccess({ requests });
    expect(BatchAccessResponse.encode(reply).finish().length).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(reply.results.map((result) => (typeof valueOf(result) === 'string' ? valueOf(result) : 'a payload'))).toEqual([
      ...Array.from({ length: 3 }, () => 'a payload'),
      ...Array.from({ length: 3 }, () => 'BATCH_TOO_LARGE'),
    ]);
    expect((await access(names.slice(3))).map((result) => typeof valueOf(result))).toEqual(['object', 'object', 'string']);
  });
});

describe('a payload that the caller has already', () => {
  it('is not sent again, and the key service is not asked; the log says so', async () => {
    const secret = await newSecret();
    const name = `${secret}/versions/latest`;
    const { etag, notModified } = await app.access.accessSecretVersion({ name });
    expect(notModified).toBe(false);
    const id = randomUUID();
    const again = await app.access.accessSecretVersion({ name, ifNoneMatch: etag }, { metadata: { 'x-correlation-id': id } });
    expect(again).toEqual({ name: `${secret}/versions/1`, payload: undefined, etag, notModified: true });
    const [entry, ...others] = await entriesOfCall(auditor, id);
    expect(others).toEqual([]);
    expect(entry?.event).toMatchObject({ action: 'secrets.version.access', resource: `${secret}/versions/1` });
    expect(entry?.event?.attributes.get('notModified')).toBe('true');

    const batch = await app.access.batchAccess({ requests: [asking(name, etag), asking(name, '"old"')] });
    expect(batch.results.map(({ outcome }) => outcome?.$case === 'response' && outcome.value.notModified)).toEqual([true, false]);
  });

  it('is sent when there is a newer one, and is refused when it must not be read any more', async () => {
    const secret = await newSecret();
    const name = `${secret}/versions/latest`;
    const { etag: ifNoneMatch } = await app.access.accessSecretVersion({ name });
    // The same value: an etag says nothing of it.
    await secrets.addSecretVersion({ parent: secret, payload: text('a value'), ...fresh() });
    const newer = await app.access.accessSecretVersion({ name, ifNoneMatch });
    expect(newer).toMatchObject({ name: `${secret}/versions/2`, payload: text('a value'), notModified: false });
    expect(newer.etag).not.toBe(ifNoneMatch);
    await secrets.disableSecretVersion({ name: `${secret}/versions/1`, ...fresh() });
    const old = app.access.accessSecretVersion({ name: `${secret}/versions/1`, ifNoneMatch });
    expect(await properRefusalOf(old)).toMatchObject({ reason: 'VERSION_DISABLED' });
    const foreignOne = app.access.accessSecretVersion({ name: `${foreign}/versions/1`, ifNoneMatch });
    expect(await properRefusalOf(foreignOne)).toMatchObject({ reason: 'PERMISSION_DENIED' });
  });

  it('is known by an etag of at most 128 characters', async () => {
    const name = `${await newSecret()}/versions/1`;
    expect((await app.access.accessSecretVersion({ name, ifNoneMatch: 'x'.repeat(128) })).notModified).toBe(false);
    const long = app.access.accessSecretVersion({ name, ifNoneMatch: 'x'.repeat(129) });
    expect(await properRefusalOf(long)).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['if_none_match'] });
  });
});

describe('how much a secret is used', () => {
  it('is told a few seconds later, also of what was accessed in a batch or had already', async () => {
    const secret = await newSecret();
    expect((await secrets.getSecret({ name: secret })).usage).toEqual({ accessCount: 0n, lastAccessTime: undefined, versionCount: 1n });
    const name = `${secret}/versions/1`;
    const { etag } = await app.access.accessSecretVersion({ name });
    await app.access.accessSecretVersion({ name, ifNoneMatch: etag });
    await access([name, name, `${secret}/versions/9`]);
    const at = Date.now();
    await vi.waitFor(
      async () => {
        const { usage } = await secrets.getSecret({ name: secret });
        expect(usage?.accessCount).toBe(4n);
        expect(Math.abs(usage!.lastAccessTime!.getTime() - at)).toBeLessThan(1_000);
      },
      { timeout: 10_000, interval: 200 },
    );
  });
});
