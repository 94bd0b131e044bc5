// What somebody who can write to the databases can do to a tenant's secrets: destroy them, and nothing else. Whatever is
// moved, swapped or changed behind the services' backs opens nowhere, is called what it is, and is recorded.
import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { entriesOfCall } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'auditor')];
afterAll(() => [operator, app, auditor].forEach((clients) => clients[Symbol.dispose]()));

const newBoundTenant = async (): Promise<Tenant> => {
  const tenant = await newTenant(operator);
  await bind(operator, tenant.instance, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  return tenant;
};
let [mine, theirs]: Tenant[] = [];
beforeAll(async () => {
  [mine, theirs] = [await newBoundTenant(), await newBoundTenant()];
});

interface Written {
  name: string;
  uid: string;
  value: string;
}
/** A secret with two versions of the same length, so that no length tells them apart. */
const write = async (group: string): Promise<Written> => {
  const value = randomBytes(18).toString('base64url');
  const { name, uid } = await app.secrets.createSecret({ parent: group, secretId: newId('s'), payload: text(value), ...fresh() });
  await app.secrets.addSecretVersion({ parent: name, payload: text(randomBytes(18).toString('base64url')), ...fresh() });
  return { name, uid, value };
};
const tamper = (service: 'store' | 'keys', ...statements: [string, unknown[]][]) =>
  withDatabase(stack, service, async (owner) => {
    for (const [statement, values] of statements) expect((await owner.query(statement, values)).rowCount, statement).toBeGreaterThan(0);
  });

/** Reading it fails as data that is not what was written, tells nothing of it, and is recorded under the reader. */
const isCorrupted = async (name: string, ...values: string[]): Promise<void> => {
  const id = randomUUID();
  const refused = await properRefusalOf(app.access.accessSecretVersion({ name }, { metadata: { 'x-correlation-id': id } }), values);
  expect(refused).toMatchObject({ code: 'DATA_LOSS', reason: 'DATA_CORRUPTED' });
  const entries = (await entriesOfCall(auditor, id)).filter(({ source }) => source === spiffeIdOf('store'));
  expect(entries.map(({ event }) => event)).toMatchObject([
    {
      action: 'secrets.version.access',
      principal: spiffeIdOf('app'),
      resource: name,
      outcome: Event_Outcome.FAILURE,
      code: 15,
      reason: 'DATA_CORRUPTED',
    },
  ]);
};

const COPY = `update secret_versions t set wrapped_dek = f.wrapped_dek, sealed = f.sealed, crc32c = f.crc32c, kind = f.kind, size_bytes = f.size_bytes
  from secret_versions f where t.secret_uid = $1 and t.version = $2 and f.secret_uid = $3 and f.version = $4`;

describe('a row whose ciphertext was swapped', () => {
  it('with another tenant’s opens for neither of them', async () => {
    const [a, b, spare] = [await write(mine!.group), await write(theirs!.group), await write(mine!.group)];
    await tamper('store', [COPY, [spare.uid, 1, a.uid, 1]], [COPY, [a.uid, 1, b.uid, 1]], [COPY, [b.uid, 1, spare.uid, 1]]);
    for (const { name } of [a, b, spare]) await isCorrupted(`${name}/versions/1`, a.value, b.value, spare.value);
    // And the other version of each is unharmed.
    for (const { name } of [a, b, spare]) await app.access.accessSecretVersion({ name: `${name}/versions/2` });
  });

  it('with another secret’s of the same group opens for neither', async () => {
    const [a, b] = [await write(mine!.group), await write(mine!.group)];
    await tamper('store', [COPY, [a.uid, 1, b.uid, 1]]);
    await isCorrupted(`${a.name}/versions/1`, a.value, b.value);
    expect((await app.access.accessSecretVersion({ name: `${b.name}/versions/1` })).payload).toEqual(text(b.value));
  });

  it('with an older version’s does not open: nobody can roll a secret back', async () => {
    const { name, uid, value } = await write(mine!.group);
    await tamper('store', [COPY, [uid, 2, uid, 1]]);
    await isCorrupted(`${name}/versions/2`, value);
  });

  it('for a sealed payload of another secret, with the key left as it was, does not open', async () => {
    const [a, b] = [await write(mine!.group), await write(mine!.group)];
    await tamper('store', [
      `update secret_versions t set sealed = f.sealed, crc32c = f.crc32c from secret_versions f
        where t.secret_uid = $1 and t.version = 1 and f.secret_uid = $2 and f.version = 1`,
      [a.uid, b.uid],
    ]);
    await isCorrupted(`${a.name}/versions/1`, a.value, b.value);
  });
});

describe('a row that was changed', () => {
  const flip = (column: string) =>
    `update secret_versions set ${column} = set_byte(${column}, $2, get_byte(${column}, $2) # 1) where secret_uid = $1 and version = 1`;
  it.each([
    ['the format of the payload', flip('sealed'), 0],
    ['the IV', flip('sealed'), 1],
    ['the ciphertext', flip('sealed'), 14],
    ['the tag', flip('sealed'), 40],
    ['the format of the wrapped key', flip('wrapped_dek'), 0],
    ['its salt', flip('wrapped_dek'), 1],
    ['its commitment', flip('wrapped_dek'), 40],
    ['its ciphertext', flip('wrapped_dek'), 70],
    ['its tag', flip('wrapped_dek'), 112],
    ['the checksum', 'update secret_versions set crc32c = crc32c # $2 where secret_uid = $1 and version = 1', 1],
    ['the length of the payload', 'update secret_versions set sealed = substr(sealed, 1, $2) where secret_uid = $1 and version = 1', 28],
    [
      'all but a byte of the wrapped key',
      'update secret_versions set wrapped_dek = substr(wrapped_dek, 1, $2) where secret_uid = $1 and version = 1',
      1,
    ],
  ] as const)('in %s does not open', async (_, statement, at) => {
    const { name, uid, value } = await write(mine!.group);
    await tamper('store', [statement, [uid, at]]);
    await isCorrupted(`${name}/versions/1`, value);
  });

  it('so that it belongs to another group of its tenant does not open', async () => {
    const { name, uid, value } = await write(mine!.group);
    const group = await operator.groups.createSecretGroup({ parent: mine!.instance, secretGroupId: newId('g'), ...fresh() });
    await tamper('store', ['update secrets set group_uid = $2 where secret_uid = $1', [uid, group.uid]]);
    await isCorrupted(`${name.replace(mine!.group, group.name)}/versions/1`, value);
  });

  it('into a copy under another tenant’s name does not open there', async () => {
    const { name, uid, value } = await write(mine!.group);
    const columns = 'state, description, labels, annotations, latest_version';
    await tamper(
      'store',
      [
        `insert into secrets (instance_uid, secret_uid, group_uid, secret_id, ${columns}) select $2, secret_uid, $3, secret_id, ${columns} from secrets where secret_uid = $1`,
        [uid, theirs!.instanceUid, theirs!.groupUid],
      ],
      [
        `insert into secret_versions (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed)
        select $2, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed from secret_versions where secret_uid = $1`,
        [uid, theirs!.instanceUid],
      ],
    );
    await isCorrupted(`${name.replace(mine!.group, theirs!.group)}/versions/1`, value);
    expect((await app.access.accessSecretVersion({ name: `${name}/versions/1` })).payload).toEqual(text(value));
  });
});

describe('the key service’s database', () => {
  /** What is cached goes with the epoch, as after every change that the service itself makes. */
  const EPOCH: [string, unknown[]] = ['update keys_epoch set epoch = epoch + 1', []];
  const lapse = () => new Promise((resolve) => setTimeout(resolve, 600));

  it.each<[string, string, (t: Tenant, other: Tenant) => unknown[]]>([
    [
      'a byte of a scope’s key changed',
      'update scope_versions set wrapped_key = set_byte(wrapped_key, 80, get_byte(wrapped_key, 80) # 1) where scope_uid = $1',
      (t) => [t.groupUid],
    ],
    [
      'a scope’s key replaced by another scope’s',
      'update scope_versions t set wrapped_key = f.wrapped_key, key_uid = f.key_uid, key_version = f.key_version from scope_versions f where t.scope_uid = $1 and f.scope_uid = $2',
      (t, other) => [t.groupUid, other.groupUid],
    ],
    [
      'the sealed root key changed',
      'update root_key_versions v set ref = set_byte(ref, 60, get_byte(ref, 60) # 1) from root_keys k where k.key_uid = v.key_uid and k.owner = $1',
      (t) => [t.instanceUid],
    ],
    [
      'the root key replaced by another tenant’s',
      'update root_key_versions v set ref = f.ref from root_keys k, root_key_versions f, root_keys o where k.key_uid = v.key_uid and k.owner = $1 and f.key_uid = o.key_uid and o.owner = $2',
      (t, other) => [t.instanceUid, other.instanceUid],
    ],
  ])('with %s opens nothing of that scope, and still everything of others', async (_, statement, valuesOf) => {
    const [victim, other] = [await newBoundTenant(), await newBoundTenant()];
    const [a, b] = [await write(victim.group), await write(other.group)];
    await tamper('keys', [statement, valuesOf(victim, other)], EPOCH);
    await lapse();
    await isCorrupted(`${a.name}/versions/1`, a.value);
    expect(await properRefusalOf(app.secrets.addSecretVersion({ parent: a.name, payload: text('x'), ...fresh() }))).toMatchObject({
      code: 'DATA_LOSS',
      reason: 'DATA_CORRUPTED',
    });
    expect((await app.access.accessSecretVersion({ name: `${b.name}/versions/1` })).payload).toEqual(text(b.value));
  });

  it('with a scope given to another tenant opens nothing', async () => {
    const [victim, thief] = [await newBoundTenant(), await newBoundTenant()];
    const { name, value } = await write(victim.group);
    await tamper('keys', ['update scopes set instance_uid = $2 where scope_uid = $1', [victim.groupUid, thief.instanceUid]], EPOCH);
    await lapse();
    const refused = await properRefusalOf(app.access.accessSecretVersion({ name: `${name}/versions/1` }), [value]);
    expect(refused.code).toBe('DATA_LOSS');
  });
});
