// What a live stack has in its rows, and the master key in its folder, read by another program down to the value of a secret.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { clientsOf } from '../support/clients.ts';
import { importKey, newMaterial, openRing } from '../support/import.ts';
import { hasSecondReader, readWithOther, type Step } from '../support/second-reader.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newTenant, text } from '../support/tenants.ts';

const stack = inject('stack');
const [operator, app, store] = [clientsOf(stack, 'operator'), clientsOf(stack, 'app'), clientsOf(stack, 'store')];
afterAll(() => [operator, app, store].forEach((clients) => clients[Symbol.dispose]()));

/** The steps from the folder of master keys down to the key of a scope. */
const stepsTo = async (scopeUid: string, instanceUid: string): Promise<Step[]> => {
  const select = `select s.wrapped_key, s.key_version, s.key_uid, v.ref from scope_versions s
    join root_key_versions v on v.key_uid = s.key_uid and v.version = s.key_version where s.scope_uid = $1 and s.version = 1`;
  const [row] = await withDatabase(
    stack,
    'keys',
    async (owner) =>
      (await owner.query<{ wrapped_key: Buffer; key_version: number; key_uid: string; ref: Buffer }>(select, [scopeUid])).rows,
  );
  const { ref, key_uid: keyUid, key_version: version, wrapped_key: wrapped } = row!;
  const folder = join(stack.state, 'master-keys');
  const file = readdirSync(folder).find((name) => name.startsWith(ref.subarray(1, 9).toString('hex')))!;
  const masterKey = readFileSync(join(folder, file)).toString('hex');
  return [
    { open: 'root', key: masterKey, blob: ref.toString('hex'), keyUid, version },
    { open: 'scope', key: { step: 0 }, blob: wrapped.toString('hex'), keyUid, version, scopeUid, instanceUid, scopeVersion: 1 },
  ];
};

describe.runIf(hasSecondReader)('another program', () => {
  it('reads a secret from the rows of the databases and the folder of master keys', async () => {
    const { instance, instanceUid, group, groupUid } = await newTenant(operator);
    await bind(operator, instance, spiffeIdOf('app'), Role.WRITER);
    const { uid: secretUid } = await app.secrets.createSecret({ parent: group, secretId: 's', payload: text('correct horse'), ...fresh() });
    const select = 'select wrapped_dek, sealed from secret_versions where secret_uid = $1 and version = 1';
    const [row] = await withDatabase(
      stack,
      'store',
      async (owner) => (await owner.query<{ wrapped_dek: Buffer; sealed: Buffer }>(select, [secretUid])).rows,
    );
    const place = { instanceUid, version: 1 };
    const steps: Step[] = [
      ...(await stepsTo(groupUid, instanceUid)),
      { open: 'dek', key: { step: 1 }, blob: row!.wrapped_dek.toString('hex'), scopeUid: groupUid, resourceUid: secretUid, ...place },
      { open: 'payload', key: { step: 2 }, blob: row!.sealed.toString('hex'), secretUid, ...place },
    ];
    expect(Buffer.from(readWithOther(steps)[3] ?? '', 'hex').toString()).toBe('correct horse');
  });

  it('reads a data key under an imported root key', async () => {
    await openRing(operator);
    const [instanceUid, scopeUid, resourceUid] = [randomUUID(), randomUUID(), randomUUID()];
    const { name: rootKey } = await importKey(operator, newMaterial());
    const { name: scope } = await store.envelopes.createScope({ scopeUid, rootKey, instanceUid, instance: 'instances/a' });
    const { dek, wrappedDek } = await store.envelopes.generateDek({
      scope,
      context: { instanceUid, resourceUid, version: 1, additionalData: Buffer.from('a context') },
    });
    const blob = wrappedDek.toString('hex');
    const steps: Step[] = [
      ...(await stepsTo(scopeUid, instanceUid)),
      {
        open: 'dek',
        key: { step: 1 },
        blob,
        scopeUid,
        instanceUid,
        resourceUid,
        version: 1,
        additionalData: Buffer.from('a context').toString('hex'),
      },
    ];
    expect(readWithOther(steps)[2]).toBe(dek.toString('hex'));
  });
});
