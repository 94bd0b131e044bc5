// Purges on a whole stack: what goes, what stays, what is counted, and what is proved.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { afterAll, describe, expect, inject, it, vi } from 'vitest';
import { verifyReceipt } from '../../src/dev/receipt.ts';
import { HOST, spiffeIdOf, tlsFilesOf } from '../../src/dev/stack.ts';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Scope_State } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { RootKey_State } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { clientsOf, refusalOf } from '../support/clients.ts';
import { entriesOf } from '../support/audit-log.ts';
import { withDatabase } from '../support/stack.ts';
import { bind, fresh, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, fill, fillTables, jobsOf, reaches, rowsOf, setRetention } from '../worker/purges.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const auditor = clientsOf(stack, 'auditor');
afterAll(() => [operator, auditor].forEach((clients) => clients[Symbol.dispose]()));

const { DONE } = Purge_State;
const newGroup = (tenant: Tenant, secretGroupId: string) =>
  operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId, ...fresh() });
const newSecret = (parent: string, secretId: string) =>
  operator.secrets.createSecret({ parent, secretId, payload: text('value'), ...fresh() });
const deleteGroup = (name: string) => operator.groups.deleteSecretGroup({ name, ...fresh() });
const deleteSecret = (name: string) => operator.secrets.deleteSecret({ name, ...fresh() });

const actionsOf = async (uid: string): Promise<string[]> =>
  (await entriesOf(auditor, { correlationId: uid })).map(({ event }) => event?.action ?? '');

describe('the purge of a group', () => {
  it('destroys its key, removes every row, counts each once, and proves its entry in the audit log', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1 });
    const other = await newGroup(tenant, 'other');
    await Promise.all([fill(operator, tenant.group, 300), fill(operator, other.name, 10)]);
    await bind(operator, tenant.group, spiffeIdOf('app2'), Role.READER);
    await deleteGroup(tenant.group);
    const purge = await reaches(operator, tenant.groupUid, DONE);

    expect(countsOf(purge)).toEqual([1n, 600n, 300n, 1n]);
    expect(purge).toMatchObject({ resource: tenant.group, deletedBy: spiffeIdOf('operator'), lastError: '' });
    const times = [purge.deleteTime, purge.purgeTime, purge.startTime, purge.keysDestroyedTime, purge.endTime].map((time) =>
      time?.getTime(),
    );
    expect(times).toEqual(times.toSorted((a = 0, b = 0) => a - b));
    expect(await rowsOf(stack, tenant.instanceUid)).toEqual([1, 1, 10, 20]);
    expect((await operator.envelopes.getScope({ name: `scopes/${tenant.groupUid}` })).state).toBe(Scope_State.DESTROYED);
    expect((await operator.envelopes.getScope({ name: `scopes/${other.uid}` })).state).toBe(Scope_State.ENABLED);
    expect((await operator.bindings.listBindings({ scope: tenant.instance })).bindings).toEqual([]);

    const { leaf, event } = await auditor.auditLog.getEntry({ index: purge.auditIndex ?? -1n });
    const { verifierKey } = await auditor.auditLog.getCheckpoint({});
    expect(verifyReceipt(purge.receipt, leaf, verifierKey).index).toBe(purge.auditIndex);
    expect(event).toMatchObject({
      action: 'secrets.group.purge',
      resource: tenant.group,
      principal: spiffeIdOf('worker'),
      onBehalfOf: spiffeIdOf('operator'),
      instanceUid: tenant.instanceUid,
      outcome: Event_Outcome.SUCCESS,
    });
    expect(Object.fromEntries(event?.attributes ?? [])).toMatchObject({
      versionsRemoved: '600',
      secretsRemoved: '300',
      groupsRemoved: '1',
    });
    const actions = await actionsOf(tenant.groupUid);
    expect(actions[0]).toBe('secrets.group.purge.start');
    expect(actions).toEqual(expect.arrayContaining(['keys.scope.destroy', 'secrets.group.purge']));
  });

  it('takes its name with it for ever', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1 });
    await deleteGroup(tenant.group);
    await reaches(operator, tenant.groupUid, DONE);
    expect(await refusalOf(newGroup(tenant, 'main'))).toMatchObject({ code: 'ALREADY_EXISTS', reason: 'NAME_RETIRED' });
  });

  it('removes secrets that never had a version, and more rows than fit one batch', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1 });
    await fillTables(stack, tenant.groupUid, 2_000, 3);
    for (let i = 0; i < 5; i++) await operator.secrets.createSecret({ parent: tenant.group, secretId: `empty-${i}`, ...fresh() });
    await deleteGroup(tenant.group);
    expect(countsOf(await reaches(operator, tenant.groupUid, DONE))).toEqual([1n, 6_000n, 2_005n, 1n]);
    expect(await rowsOf(stack, tenant.instanceUid)).toEqual([1, 0, 0, 0]);
  });
});

describe('the purge of a secret', () => {
  it('removes its versions and leaves its neighbours readable', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1 });
    await bind(operator, tenant.group, spiffeIdOf('operator'), Role.SECRETS_READER);
    await fill(operator, tenant.group, 2);
    const secret = await operator.secrets.getSecret({ name: `${tenant.group}/secrets/s-0` });
    await deleteSecret(secret.name);
    expect(countsOf(await reaches(operator, secret.uid, DONE))).toEqual([0n, 2n, 1n, 0n]);
    expect(await rowsOf(stack, tenant.instanceUid)).toEqual([1, 1, 1, 2]);
    expect((await operator.access.accessSecretVersion({ name: `${tenant.group}/secrets/s-1/versions/1` })).payload).toEqual(text('first'));
    expect(await actionsOf(secret.uid)).not.toContain('keys.scope.destroy');
  });
});

describe('the purge of an instance', () => {
  it('takes all its groups, also deleted ones, all bindings, and the root key that was made with it', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
    const empty = await newGroup(tenant, 'empty');
    const deleted = await newGroup(tenant, 'deleted');
    await Promise.all([fill(operator, tenant.group, 20), fill(operator, deleted.name, 10)]);
    await bind(operator, tenant.instance, spiffeIdOf('app2'), Role.READER);
    await bind(operator, empty.name, spiffeIdOf('app2'), Role.READER);
    await deleteGroup(deleted.name);
    await setRetention(operator, tenant.instance, 1);
    await operator.instances.deleteInstance({ name: tenant.instance, ...fresh() });

    expect(countsOf(await reaches(operator, tenant.instanceUid, DONE))).toEqual([3n, 60n, 30n, 3n]);
    expect(await rowsOf(stack, tenant.instanceUid)).toEqual([0, 0, 0, 0]);
    expect((await operator.keys.getRootKey({ name: tenant.rootKey })).state).toBe(RootKey_State.DESTROYED);
    const left = await withDatabase(stack, 'store', (client) =>
      client.query('select 1 from bindings where scope = $1 or starts_with(scope, $1 || $2)', [tenant.instance, '/']),
    );
    expect(left.rowCount).toBe(0);
  });

  it('ends what was scheduled below it: nothing waits for something that is gone', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 3_600 });
    const group = await newGroup(tenant, 'below');
    await fill(operator, group.name, 3);
    const kept = await newSecret(tenant.group, 'kept');
    const secret = await newSecret(tenant.group, 'below');
    const inGroup = await operator.secrets.getSecret({ name: `${group.name}/secrets/s-1` });
    await deleteSecret(secret.name);
    await deleteSecret(inGroup.name);
    await deleteGroup(group.name);
    await setRetention(operator, tenant.instance, 1);
    await operator.instances.deleteInstance({ name: tenant.instance, ...fresh() });

    const whole = await reaches(operator, tenant.instanceUid, DONE);
    expect(countsOf(whole)).toEqual([2n, 8n, 5n, 2n]);
    for (const uid of [group.uid, secret.uid, inGroup.uid]) {
      const below = await reaches(operator, uid, DONE);
      expect(countsOf(below)).toEqual([0n, 0n, 0n, 0n]);
      expect(below.endTime?.getTime()).toBeGreaterThanOrEqual(whole.keysDestroyedTime?.getTime() ?? Infinity);
      const { event } = await auditor.auditLog.getEntry({ index: below.auditIndex ?? -1n });
      expect(event?.attributes.get('absorbedBy')).toBe(`purges/${tenant.instanceUid}`);
      await vi.waitFor(async () => expect(await jobsOf(stack, uid)).toBe(0));
    }
    expect(await refusalOf(operator.purges.getPurge({ name: `purges/${kept.uid}` }))).toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('an undelete before the time', () => {
  it('leaves neither a record nor a job, and the secret as it was', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 2 });
    await bind(operator, tenant.group, spiffeIdOf('operator'), Role.SECRETS_READER);
    const secret = await newSecret(tenant.group, 'kept');
    await deleteSecret(secret.name);
    expect(await jobsOf(stack, secret.uid)).toBe(1);
    await operator.secrets.undeleteSecret({ name: secret.name, ...fresh() });
    expect(await jobsOf(stack, secret.uid)).toBe(0);
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(await refusalOf(operator.purges.getPurge({ name: `purges/${secret.uid}` }))).toMatchObject({ code: 'NOT_FOUND' });
    expect((await operator.access.accessSecretVersion({ name: `${secret.name}/versions/1` })).payload).toEqual(text('value'));
  });
});

describe('a purge that lost something', () => {
  const scheduled = async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 2 });
    const secret = await newSecret(tenant.group, 'lost');
    await deleteSecret(secret.name);
    return secret.uid;
  };
  const inStore = (statement: string, ...values: unknown[]) =>
    withDatabase(stack, 'store', async (client) => {
      expect((await client.query(statement, values)).rowCount).toBe(1);
    });

  it('its job: gets another one', async () => {
    const uid = await scheduled();
    await inStore('select graphile_worker.remove_job($1)', `purge:${uid}`);
    expect(countsOf(await reaches(operator, uid, DONE))).toEqual([0n, 1n, 1n, 0n]);
  });

  it('its worker: is free for the others within seconds, although the queue would hold it for hours', async () => {
    const uid = await scheduled();
    await inStore(
      `update graphile_worker._private_jobs set locked_by = 'pool-dead', locked_at = now(), run_at = now(), attempts = 1 where key = $1`,
      `purge:${uid}`,
    );
    await reaches(operator, uid, DONE, 15_000);
  });

  it('its lock, so that two work on it at once: still counts every row once', async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1 });
    await fillTables(stack, tenant.groupUid, 10_000, 2);
    await deleteGroup(tenant.group);
    await reaches(operator, tenant.groupUid, Purge_State.REMOVING_ROWS);
    for (let i = 0; i < 2; i++)
      await inStore(
        'update graphile_worker._private_jobs set locked_by = null, locked_at = null where key = $1',
        `purge:${tenant.groupUid}`,
      );
    expect(countsOf(await reaches(operator, tenant.groupUid, DONE))).toEqual([1n, 20_000n, 10_000n, 1n]);
    expect((await actionsOf(tenant.groupUid)).filter((action) => action === 'secrets.group.purge')).toHaveLength(1);
  });

  it('its last step, after its entry was made: makes no second one', async () => {
    const uid = await scheduled();
    const before = await reaches(operator, uid, DONE);
    await inStore(`update purges set state = 'FINISHING', audit_index = null, receipt = null where uid = $1`, uid);
    const after = await reaches(operator, uid, DONE);
    expect(after.auditIndex).toBe(before.auditIndex);
    const actions = await actionsOf(uid);
    expect(actions.filter((action) => action === 'secrets.secret.purge')).toHaveLength(1);
    expect(actions.filter((action) => action === 'secrets.secret.purge.start')).toHaveLength(1);
  });

  it('its time in the log, as after a restore of the database: makes another entry', async () => {
    const [before, uid] = [await scheduled(), await scheduled()];
    await reaches(operator, before, DONE);
    await inStore('update purges set event_id = (select event_id from purges where uid = $1) where uid = $2', before, uid);
    const purge = await reaches(operator, uid, DONE);
    expect((await auditor.auditLog.getEntry({ index: purge.auditIndex ?? -1n })).event?.correlationId).toBe(uid);
  });
});

describe('the database', () => {
  const as = async (role: 'store' | 'worker', statement: string): Promise<string | undefined> => {
    const { caFile, certFile, keyFile } = tlsFilesOf(stack, role);
    const ssl = { ca: readFileSync(caFile), cert: readFileSync(certFile), key: readFileSync(keyFile) };
    const client = new pg.Client({ host: HOST, port: stack.ports.postgres, database: 'store', user: role, ssl });
    await client.connect();
    try {
      await client.query(statement);
      return undefined;
    } catch (error) {
      return error instanceof pg.DatabaseError ? error.code : String(error);
    } finally {
      await client.end();
    }
  };
  const DENIED = '42501';

  it('lets the worker erase ciphertext and wrapped keys, and read neither', async () => {
    expect(await as('worker', 'select sealed from secret_versions')).toBe(DENIED);
    expect(await as('worker', 'select wrapped_dek from secret_versions')).toBe(DENIED);
    expect(await as('worker', 'delete from secret_versions where false returning sealed')).toBe(DENIED);
    expect(await as('worker', 'insert into bindings (principal, scope, role) values (1, 2, 3)')).toBe(DENIED);
    expect(await as('worker', 'select version from secret_versions limit 1')).toBeUndefined();
  });

  it('lets the store remove no row of a tenant, and see no job', async () => {
    for (const table of ['instances', 'secret_groups', 'secrets', 'secret_versions', 'purges'])
      expect(await as('store', `delete from ${table} where false`), table).toBe(DENIED);
    expect(await as('store', 'update purges set state = state where false')).toBe(DENIED);
    expect(await as('store', 'select 1 from graphile_worker.jobs')).toBe(DENIED);
    expect(await as('store', `select graphile_worker.add_job('purge')`)).toBe(DENIED);
  });
});
