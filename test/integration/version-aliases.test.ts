// Aliases of versions: what readers get by a name that moves, who moves it, and what happens when two want to.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'auditor')];
let tenant: Tenant;
beforeAll(async () => {
  tenant = await newTenant(operator);
  await bind(operator, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
});
afterAll(() => [operator, app, auditor].forEach((clients) => clients[Symbol.dispose]()));

const { secrets, aliases, access } = app;
/** A secret with versions 1 to `count`, the value of each its number. */
const newSecret = async (count: number): Promise<string> => {
  const { name } = await secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: text('1'), ...fresh() });
  for (let i = 2; i <= count; i++) await secrets.addSecretVersion({ parent: name, payload: text(`${i}`), ...fresh() });
  return name;
};
const set = (name: string, alias: string, version: number, more = {}) =>
  aliases.setVersionAlias({ name, alias, version, ...fresh(), ...more });
const read = (name: string) => access.accessSecretVersion({ name });

describe('an alias', () => {
  it('is read as the version it is on, and the reply says which that was', async () => {
    const name = await newSecret(3);
    expect((await set(name, 'stable', 1)).versionAliases).toEqual(new Map([['stable', 1]]));
    expect(await read(`${name}/versions/stable`)).toMatchObject({ name: `${name}/versions/1`, payload: text('1') });
    await set(name, 'stable', 2);
    expect(await read(`${name}/versions/stable`)).toMatchObject({ name: `${name}/versions/2`, payload: text('2') });
    expect(await read(`${name}/versions/latest`)).toMatchObject({ payload: text('3') });
  });

  it('is shown on the secret and on its version, also in lists, beside latest and previous', async () => {
    const name = await newSecret(3);
    await set(name, 'stable', 2);
    await set(name, 'blue', 2);
    await set(name, 'canary', 3);
    const { versionAliases } = await secrets.getSecret({ name });
    expect(Object.fromEntries(versionAliases)).toEqual({ stable: 2, blue: 2, canary: 3 });
    const { secretVersions } = await secrets.listSecretVersions({ parent: name });
    expect(secretVersions.map((version) => version.aliases)).toEqual([['latest', 'canary'], ['previous', 'blue', 'stable'], []]);
    expect(await secrets.getSecretVersion({ name: `${name}/versions/blue` })).toEqual(secretVersions[1]);
    const added = await secrets.addSecretVersion({ parent: name, payload: text('4'), ...fresh() });
    expect(added.aliases).toEqual(['latest']);
  });

  it('names the version to disable and to enable, and never one to destroy', async () => {
    const name = await newSecret(2);
    await set(name, 'stable', 1);
    expect((await secrets.disableSecretVersion({ name: `${name}/versions/stable`, ...fresh() })).name).toBe(`${name}/versions/1`);
    expect(await properRefusalOf(read(`${name}/versions/stable`))).toMatchObject({
      reason: 'VERSION_DISABLED',
      metadata: { resource: `${name}/versions/1` },
    });
    await secrets.enableSecretVersion({ name: `${name}/versions/stable`, ...fresh() });
    const destroyed = await properRefusalOf(operator.secrets.destroySecretVersion({ name: `${name}/versions/stable`, ...fresh() }));
    expect(destroyed).toMatchObject({ reason: 'MALFORMED_NAME', fields: ['name'] });
  });

  it('stays on a version that is destroyed, says so, and can be moved away', async () => {
    const name = await newSecret(2);
    await set(name, 'stable', 1);
    await operator.secrets.destroySecretVersion({ name: `${name}/versions/1`, ...fresh() });
    expect(await properRefusalOf(read(`${name}/versions/stable`))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'VERSION_DESTROYED',
      metadata: { resource: `${name}/versions/1` },
    });
    expect(await properRefusalOf(set(name, 'other', 1))).toMatchObject({ reason: 'VERSION_DESTROYED' });
    await set(name, 'stable', 2);
    expect((await read(`${name}/versions/stable`)).payload).toEqual(text('2'));
  });

  it('that is gone is nowhere, as one that never was', async () => {
    const name = await newSecret(1);
    await set(name, 'stable', 1);
    expect((await aliases.deleteVersionAlias({ name, alias: 'stable', ...fresh() })).versionAliases.size).toBe(0);
    for (const version of ['stable', 'never'])
      expect(await properRefusalOf(read(`${name}/versions/${version}`))).toMatchObject({
        code: 'NOT_FOUND',
        metadata: { resource: `${name}/versions/${version}` },
      });
    expect(await properRefusalOf(aliases.deleteVersionAlias({ name, alias: 'stable', ...fresh() }))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('is one of at most twenty', async () => {
    const name = await newSecret(1);
    for (let i = 0; i < 20; i++) await set(name, `a${i}`, 1);
    expect(await properRefusalOf(set(name, 'a20', 1))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'LIMIT_REACHED',
      metadata: { resource: name, limit: '20' },
    });
    await set(name, 'a19', 1);
  });

  it('is refused with a bad name, a bad number, or a version that is not there', async () => {
    const name = await newSecret(1);
    for (const alias of ['latest', 'previous', '1', 'Stable', 'a'.repeat(64), 'né', 'a.b', 'a/b', ''])
      expect(await properRefusalOf(set(name, alias, 1)), alias).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['alias'] });
    for (const version of [0, -1])
      expect(await properRefusalOf(set(name, 'stable', version))).toMatchObject({ code: 'INVALID_ARGUMENT', fields: ['version'] });
    expect(await properRefusalOf(set(name, 'stable', 2))).toMatchObject({
      code: 'NOT_FOUND',
      metadata: { resource: `${name}/versions/2` },
    });
    expect((await secrets.getSecret({ name })).versionAliases.size).toBe(0);
  });

  it('moves only from where it is expected, if somebody expects it', async () => {
    const name = await newSecret(2);
    const { etag } = await set(name, 'stable', 1, { expectedVersion: 0 });
    expect(await properRefusalOf(set(name, 'stable', 2, { expectedVersion: 0 }))).toMatchObject({
      code: 'ABORTED',
      reason: 'ETAG_MISMATCH',
    });
    await set(name, 'stable', 2, { expectedVersion: 1, etag });
    expect(await properRefusalOf(set(name, 'stable', 1, { etag }))).toMatchObject({ code: 'ABORTED', reason: 'ETAG_MISMATCH' });
    expect(await properRefusalOf(aliases.deleteVersionAlias({ name, alias: 'stable', expectedVersion: 1, ...fresh() }))).toMatchObject({
      reason: 'ETAG_MISMATCH',
    });
    await aliases.deleteVersionAlias({ name, alias: 'stable', expectedVersion: 2, ...fresh() });
  });

  it('leaves in the log where it was, where it went, and when it was taken away', async () => {
    const name = await newSecret(2);
    await set(name, 'stable', 1);
    await set(name, 'stable', 2);
    await aliases.deleteVersionAlias({ name, alias: 'stable', ...fresh() });
    await expect
      .poll(async () =>
        (await entriesOf(auditor, { resource: name }))
          .map(({ event }) => event!)
          .filter(({ action }) => action.startsWith('secrets.alias.'))
          .map(({ action, attributes }) => ({ action, ...Object.fromEntries(attributes) })),
      )
      .toEqual([
        { action: 'secrets.alias.set', alias: 'stable', version: '1' },
        { action: 'secrets.alias.set', alias: 'stable', version: '2', versionBefore: '1' },
        { action: 'secrets.alias.delete', alias: 'stable', versionBefore: '2' },
      ]);
  });

  it('moves under its readers: each gets one version or the other, whole, and never none', async () => {
    const name = await newSecret(2);
    await set(name, 'stable', 1);
    let moving = true;
    const seen = new Set<string>();
    const readers = Array.from({ length: 4 }, async () => {
      while (moving) {
        const { name: version, payload } = await read(`${name}/versions/stable`);
        expect(payload).toEqual(text(version.split('/').at(-1)!));
        seen.add(version);
      }
    });
    for (let i = 0; i < 20; i++) await set(name, 'stable', 1 + ((i + 1) % 2));
    moving = false;
    await Promise.all(readers);
    expect([...seen].sort()).toEqual([`${name}/versions/1`, `${name}/versions/2`]);
  });
});
