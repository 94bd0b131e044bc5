// No value and no key is anywhere but where it must be: after a run, PostgreSQL's files with their WAL, all logs and all
// audit entries are searched for every secret value and every key of that run, in every form.
import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { find, findIn, formsOf, type Find, type Needle } from '../../src/dev/hunt.ts';
import { addressOf, spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Secret, CreateSecretRequest } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { contextOf, u32, unwrapKey, uuidBytes } from '../../src/keys/wrap.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, connectWith, materialOf, refusalOf } from '../support/clients.ts';
import { importKey, newMaterial, openRing } from '../support/import.ts';
import { callRaw } from '../support/refusals.ts';
import { dataOf, withDatabase } from '../support/stack.ts';
import { bind, data, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, app2, auditor, store] = (['operator', 'app', 'app2', 'auditor', 'store'] as const).map((name) =>
  clientsOf(stack, name),
);
const needles: Needle[] = [];
/** What must be found, in the database and in the log: otherwise the search is blind. */
const note = `note-${randomBytes(12).toString('hex')}`;
const stranger = `stranger-${randomBytes(12).toString('hex')}`;
let tenant: Tenant;
let leaves: Buffer[] = [];

const needleOf = (what: string, value: Buffer | string): Needle => ({ what, forms: formsOf(Buffer.from(value as string)) });
const keep = (what: string, value: Buffer | string): void => void needles.push(needleOf(what, value));

/** Everything that happens to values: writes, reads, rotations, and all the ways in which a call with one can fail. */
const useSecrets = async (): Promise<{ uid: string; name: string }> => {
  const values = ['a', 'b', 'c', 'd', 'e'].map((what) => `${what}-${randomBytes(24).toString('base64')}-ß€😀`);
  values.forEach((value, i) => keep(`text ${i}`, value));
  const bytes = [randomBytes(48), randomBytes(5_000)];
  bytes.forEach((value, i) => keep(`bytes ${i}`, value));
  const [a, b, c, d, e] = values as [string, string, string, string, string];

  const request = {
    parent: tenant.group,
    secretId: newId('s'),
    payload: text(a),
    secret: Secret.fromPartial({ description: note }),
    ...fresh(),
  };
  const { name, uid } = await app!.secrets.createSecret(request);
  await app!.secrets.createSecret(request);
  await app!.secrets.addSecretVersion({ parent: name, payload: text(b), ...fresh() });
  await app!.secrets.rollbackSecret({ name, version: 1, ...fresh() });
  await app!.secrets.addSecretVersion({ parent: name, payload: text(a), onlyIfChanged: true, ...fresh() });
  for (const value of bytes) await app!.secrets.addSecretVersion({ parent: name, payload: data(value), ...fresh() });
  for (const version of ['1', '2', '3', '4', 'latest', 'previous'])
    await app!.access.accessSecretVersion({ name: `${name}/versions/${version}` });
  await refusalOf(app!.secrets.createSecret({ ...request, payload: text(c) }));
  await refusalOf(app!.secrets.addSecretVersion({ parent: name, payload: { ...text(c), crc32c: 1n }, ...fresh() }));
  await refusalOf(app!.secrets.addSecretVersion({ parent: name, payload: text(d.repeat(30_000)), ...fresh() }));
  await refusalOf(app!.secrets.addSecretVersion({ parent: name, payload: text(d), etag: '"stale"', ...fresh() }));
  await refusalOf(app2!.secrets.addSecretVersion({ parent: name, payload: text(d), ...fresh() }));
  await refusalOf(app!.secrets.createSecret({ parent: tenant.group, secretId: `bad ${newId('s')}`, payload: text(e), ...fresh() }));
  const raw = connectWith(addressOf(stack, 'store'), materialOf(stack, 'app'));
  const broken = Buffer.from(
    CreateSecretRequest.encode(CreateSecretRequest.fromPartial({ ...request, payload: text(e) })).finish(),
  ).subarray(0, -3);
  await expect(callRaw(raw, '/strongroom.secrets.v1.SecretService/CreateSecret', broken)).rejects.toMatchObject({ code: 3 });
  raw.close();
  await operator!.secrets.destroySecretVersion({ name: `${name}/versions/2`, ...fresh() });
  await refusalOf(app!.access.accessSecretVersion({ name: `${name}/versions/2` }));
  await refusalOf(app!.secrets.getSecret({ name: `${tenant.group}/secrets/${stranger}` }));
  return { uid, name };
};

/** Every key of the hierarchy, from the file at the top to the keys around single values. */
const keepKeys = async (uid: string): Promise<void> => {
  const file = (name: string) => readFileSync(join(stack.state, name));
  const masterKeys = readdirSync(join(stack.state, 'master-keys')).map((name) => join('master-keys', name));
  for (const name of ['token.key', 'audit-signing.key', ...masterKeys]) keep(name, file(name));
  const scope = `scopes/${tenant.groupUid}`;
  const context = (version: number) => ({ instanceUid: tenant.instanceUid, resourceUid: uid, version, additionalData: Buffer.alloc(0) });
  for (const version of [1, 90, 91]) {
    const { wrappedDek } = version === 1 ? await wrappedOf(uid) : await store!.envelopes.generateDek({ scope, context: context(version) });
    const { dek } = await store!.envelopes.unwrapDek({ scope, context: context(version), wrappedDek });
    expect(dek).toHaveLength(32);
    keep(`DEK of version ${version}`, dek);
  }
  const [row] = await withDatabase(stack, 'keys', async (owner) => {
    const select = `select s.wrapped_key, s.key_version, s.key_uid, v.ref from scope_versions s
      join root_key_versions v on v.key_uid = s.key_uid and v.version = s.key_version where s.scope_uid = $1`;
    return (await owner.query<{ wrapped_key: Buffer; key_version: number; key_uid: string; ref: Buffer }>(select, [tenant.groupUid])).rows;
  });
  const [format, keyUid, version] = [Buffer.of(1), uuidBytes(row!.key_uid), u32(row!.key_version)];
  const rootContext = contextOf('strongroom/root/v1', format, row!.ref.subarray(1, 9), keyUid, version);
  const masterKey = file(join('master-keys', `${row!.ref.subarray(1, 9).toString('hex')}.key`));
  const rootKey = unwrapKey(masterKey, row!.ref.subarray(9), rootContext);
  const scopeContext = contextOf('strongroom/scope/v2', keyUid, version, uuidBytes(tenant.groupUid), uuidBytes(tenant.instanceUid), u32(1));
  const scopeKey = unwrapKey(rootKey!, row!.wrapped_key.subarray(1), scopeContext);
  keep('root key', rootKey!);
  keep('scope key', scopeKey!);
};
const wrappedOf = (uid: string): Promise<{ wrappedDek: Buffer }> =>
  withDatabase(stack, 'store', async (owner) => {
    const select = 'select wrapped_dek as "wrappedDek" from secret_versions where secret_uid = $1 and version = 1';
    return (await owner.query<{ wrappedDek: Buffer }>(select, [uid])).rows[0]!;
  });

beforeAll(async () => {
  tenant = await newTenant(operator!);
  await bind(operator!, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  const { uid } = await useSecrets();
  await keepKeys(uid);
  await openRing(operator!);
  const material = newMaterial();
  keep('imported material', material);
  await importKey(operator!, material);
  leaves = (await entriesOf(auditor!, {})).map(({ leaf }) => leaf);
  await withDatabase(stack, 'store', (superuser) => superuser.query('checkpoint'), 'superuser');
});
afterAll(() => [operator, app, app2, auditor, store].forEach((clients) => clients![Symbol.dispose]()));

const logs = () =>
  readdirSync(stack.state)
    .filter((name) => /\.(log|err)$/.test(name))
    .map((name) => join(stack.state, name));

/** What was found, without its bytes. */
const told = (found: readonly Find[]): string[] => found.map(({ file, needle }) => `${file}: ${needle.what}`);
const whatIn = (bytes: Buffer): string[] => findIn(bytes, needles).map(({ what }) => what);

describe('a secret value or a key', () => {
  it('is in no file of PostgreSQL, tables and WAL, where a secret’s description is', () => {
    const plain = needleOf('note', note);
    const found = find([dataOf(stack)], [...needles, plain]);
    expect(told(found.filter(({ needle }) => needle !== plain))).toEqual([]);
    const seen = found.filter(({ needle }) => needle === plain).map(({ file }) => file);
    expect(seen.some((file) => file.includes('/base/'))).toBe(true);
    expect(seen.some((file) => file.includes('/pg_wal/'))).toBe(true);
  });

  it('is in no log of any process, where the callers are', () => {
    expect(told(find(logs(), needles))).toEqual([]);
    expect(logs().length).toBeGreaterThanOrEqual(5);
    expect(find(logs(), [needleOf('caller', spiffeIdOf('app2'))]).length).toBeGreaterThan(0);
  });

  it('is in no audit entry, where the names are', () => {
    const all = Buffer.concat(leaves);
    expect(whatIn(all)).toEqual([]);
    expect(findIn(all, [needleOf('name', stranger)])).toHaveLength(1);
  });

  it('is in no configuration file', () => {
    expect(told(find([join(stack.state, 'config')], needles))).toEqual([]);
  });

  it.runIf(existsSync('/proc/self/environ'))('is on no command line and in no environment', () => {
    const lines = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => {
        try {
          return Buffer.concat([readFileSync(`/proc/${pid}/cmdline`), readFileSync(`/proc/${pid}/environ`)]);
        } catch {
          return Buffer.alloc(0);
        }
      });
    expect(whatIn(Buffer.concat(lines))).toEqual([]);
  });
});
