// A store's database that was restored: what had been purged is there again, cannot be read, is found, and goes again.
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, inject, it, vi } from 'vitest';
import { configFileOf } from '../../src/dev/configs.ts';
import { ROOT, spiffeIdOf } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { SecretGroup_State } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, fill, reaches, rowsOf } from '../worker/purges.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const auditor = clientsOf(stack, 'auditor');
afterAll(() => [operator, auditor].forEach((clients) => clients[Symbol.dispose]()));

const { groups, instances, purges } = operator;
const { DONE } = Purge_State;

/** In the order in which they can be put back. */
const TABLES = ['instances', 'secret_groups', 'secrets', 'secret_versions', 'purges', 'bindings'] as const;
type Backup = Record<(typeof TABLES)[number], unknown[]>;

/** All rows of a tenant, as a backup of the database would have them. */
const backupOf = (tenant: Tenant): Promise<Backup> =>
  withDatabase(stack, 'store', async (owner) => {
    const backup = {} as Backup;
    for (const table of TABLES) {
      const which = table === 'bindings' ? 'starts_with(scope, $1)' : 'instance_uid = $1::uuid';
      const values = [table === 'bindings' ? tenant.instance : tenant.instanceUid];
      const { rows } = await owner.query<{ row: unknown }>(`select to_jsonb(t) as row from ${table} t where ${which}`, values);
      backup[table] = rows.map(({ row }) => row);
    }
    return backup;
  });

/** What a restore does for this tenant: its rows are those of the backup, and no others. */
const restore = (tenant: Tenant, backup: Backup): Promise<void> =>
  withDatabase(stack, 'store', async (owner) => {
    await owner.query('delete from purges where instance_uid = $1', [tenant.instanceUid]);
    for (const table of TABLES)
      await owner.query(`insert into ${table} select * from jsonb_populate_recordset(null::${table}, $1) on conflict do nothing`, [
        JSON.stringify(backup[table]),
      ]);
    // The store has been running meanwhile, as it would not in a restore, and knows bindings.
    await owner.query('update bindings_epoch set epoch = epoch + 1');
  });

/** Another worker, which looks at its start. */
const startReplica = (): Disposable => {
  const config = JSON.parse(readFileSync(configFileOf(stack, 'worker'), 'utf8')) as object;
  const file = join(stack.state, 'config', 'reconcile-replica.json');
  writeFileSync(file, JSON.stringify({ ...config, listen: { host: '127.0.0.1', port: 0 } }));
  const child = spawn(process.execPath, [join(ROOT, 'src/main.ts'), 'worker', file], { stdio: 'ignore' });
  return { [Symbol.dispose]: () => void child.kill('SIGTERM') };
};

const newFull = async (): Promise<Tenant> => {
  const tenant = await newTenant(operator, { retentionSeconds: 1 });
  await fill(operator, tenant.group, 5);
  await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
  return tenant;
};
const read = (tenant: Tenant) => operator.access.accessSecretVersion({ name: `${tenant.group}/secrets/s-1/versions/1` });
const unreadable = (tenant: Tenant, reason: string) =>
  vi.waitFor(async () => expect(await properRefusalOf(read(tenant))).toMatchObject({ code: 'FAILED_PRECONDITION', reason }), {
    timeout: 2_000,
  });

const foundEntries = async (resource: string) =>
  (await entriesOf(auditor, { resource, principal: spiffeIdOf('worker') }))
    .map(({ event }) => event!)
    .filter(({ action, attributes }) => action.endsWith('.delete') && attributes.has('cause'));

describe('a restored database', () => {
  it('has a purged group again, which nobody can read, and which is found and purged', async () => {
    const tenant = await newFull();
    const backup = await backupOf(tenant);
    await groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    await reaches(operator, tenant.groupUid, DONE);
    await restore(tenant, backup);
    expect((await groups.getSecretGroup({ name: tenant.group })).state).toBe(SecretGroup_State.ACTIVE);
    await unreadable(tenant, 'SCOPE_DESTROYED');

    using _ = startReplica();
    const again = await reaches(operator, tenant.groupUid, DONE);
    expect(again).toMatchObject({ resource: tenant.group, deletedBy: spiffeIdOf('worker') });
    expect(countsOf(again).slice(1)).toEqual([10n, 5n, 1n]);
    expect(await rowsOf(stack, tenant.instanceUid)).toEqual([1, 0, 0, 0]);
    const [found, ...more] = await foundEntries(tenant.group);
    expect(more).toEqual([]);
    expect(found?.action).toBe('secrets.group.delete');
    expect(Object.fromEntries(found!.attributes)).toEqual({
      purge: `purges/${tenant.groupUid}`,
      cause: 'its key was destroyed before: this database was restored',
    });
  });

  it('from a time when the group was deleted and not yet purged waits no longer', async () => {
    const tenant = await newFull();
    await groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    const backup = await backupOf(tenant);
    await reaches(operator, tenant.groupUid, DONE);
    // As if its retention were not over at all.
    const later = new Date(Date.now() + 3_600_000).toISOString();
    for (const row of [...backup.purges, ...backup.secret_groups]) Object.assign(row as object, { purge_time: later });
    await restore(tenant, backup);
    expect((await purges.getPurge({ name: `purges/${tenant.groupUid}` })).state).toBe(Purge_State.SCHEDULED);
    using _ = startReplica();
    await reaches(operator, tenant.groupUid, DONE);
    expect(await rowsOf(stack, tenant.instanceUid)).toEqual([1, 0, 0, 0]);
    expect(await foundEntries(tenant.group)).toHaveLength(1);
  });

  it('has a purged instance again, which goes whole', async () => {
    const tenant = await newFull();
    await groups.createSecretGroup({ parent: tenant.instance, secretGroupId: 'second', ...fresh() });
    const backup = await backupOf(tenant);
    await instances.deleteInstance({ name: tenant.instance, ...fresh() });
    await reaches(operator, tenant.instanceUid, DONE);
    await restore(tenant, backup);
    await unreadable(tenant, 'SCOPE_DESTROYED');
    using _ = startReplica();
    const again = await reaches(operator, tenant.instanceUid, DONE);
    expect(countsOf(again).slice(1)).toEqual([10n, 5n, 2n]);
    expect(await rowsOf(stack, tenant.instanceUid)).toEqual([0, 0, 0, 0]);
    expect((await foundEntries(tenant.instance)).map(({ action }) => action)).toEqual(['secrets.instance.delete']);
  });

  it('loses nothing whose key is there, and nothing whose key the key service does not know', async () => {
    const [living, unknown] = [await newFull(), await newFull()];
    await withDatabase(stack, 'keys', async (owner) => {
      for (const table of ['scope_versions', 'scopes']) await owner.query(`delete from ${table} where scope_uid = $1`, [unknown.groupUid]);
    });
    const gone = await newFull();
    const backup = await backupOf(gone);
    await groups.deleteSecretGroup({ name: gone.group, ...fresh() });
    await reaches(operator, gone.groupUid, DONE);
    await restore(gone, backup);
    using _ = startReplica();
    // It has looked when it has found this one.
    await reaches(operator, gone.groupUid, DONE);
    expect((await read(living)).payload).toEqual(text('first'));
    for (const tenant of [living, unknown]) {
      expect((await groups.getSecretGroup({ name: tenant.group })).state).toBe(SecretGroup_State.ACTIVE);
      expect(await rowsOf(stack, tenant.instanceUid)).toEqual([1, 1, 5, 10]);
    }
  });
});
