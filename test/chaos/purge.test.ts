// Purges while things break: whatever is killed, restarted or out of reach, a purge ends, and its counts are exact.
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { configFileOf } from '../../src/dev/configs.ts';
import { ROOT, type Stack } from '../../src/dev/stack.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { end, pidOf, restart, startStack, withDatabase, type TestStack } from '../support/stack.ts';
import { fresh, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, fillTables, reaches, rowsOf } from '../worker/purges.ts';

const { DESTROYING_KEYS, REMOVING_ROWS, DONE } = Purge_State;
const GROUPS = 24;
const SECRETS = 15_000;

let own: TestStack;
let stack: Stack;
let operator: Clients;
beforeAll(async () => {
  own = await startStack();
  ({ stack } = own);
  operator = clientsOf(stack, 'operator');
});
afterAll(async () => {
  operator[Symbol.dispose]();
  await own[Symbol.asyncDispose]();
});

/** Takes seconds to purge: some twenty keys, and 45,000 rows in one of the groups. */
const newLargeTenant = async (): Promise<Tenant> => {
  const tenant = await newTenant(operator, { retentionSeconds: 1 });
  const others = Array.from({ length: GROUPS - 1 }, (_, i) => `g-${i}`);
  await Promise.all(
    others.map((secretGroupId) => operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId, ...fresh() })),
  );
  await fillTables(stack, tenant.groupUid, SECRETS, 2);
  return tenant;
};
const deleteInstance = (tenant: Tenant) => operator.instances.deleteInstance({ name: tenant.instance, ...fresh() });

const expectAllGone = async (tenant: Tenant): Promise<void> => {
  const purge = await reaches(operator, tenant.instanceUid, DONE, 60_000);
  expect(countsOf(purge)).toEqual([GROUPS, 2 * SECRETS, SECRETS, GROUPS].map(BigInt));
  expect(await rowsOf(stack, tenant.instanceUid)).toEqual([0, 0, 0, 0]);
};

const recordOf = (uid: string) =>
  withDatabase(stack, 'store', async (client) => {
    const { rows } = await client.query<{ state: string; scope_keys_destroyed: string; last_error: string }>(
      'select state, scope_keys_destroyed::text, last_error from purges where uid = $1',
      [uid],
    );
    return rows[0];
  });

/** Another worker beside the stack's own. */
const startReplica = (): ChildProcess => {
  const config = JSON.parse(readFileSync(configFileOf(stack, 'worker'), 'utf8')) as object;
  const file = join(stack.state, 'config', 'replica.json');
  writeFileSync(file, JSON.stringify({ ...config, listen: { host: '127.0.0.1', port: 0 } }));
  return spawn(process.execPath, [join(ROOT, 'src/main.ts'), 'worker', file], { stdio: 'ignore' });
};

describe('a purge', () => {
  it('goes on where it was when its worker is killed at any step, and counts every row once', { timeout: 180_000 }, async () => {
    const tenant = await newLargeTenant();
    await deleteInstance(tenant);
    const progress = async (): Promise<string> => {
      const { state, ...purge } = await operator.purges.getPurge({ name: `purges/${tenant.instanceUid}` });
      return [state, purge.scopeKeysDestroyedCount, purge.versionsRemovedCount, purge.secretsRemovedCount].join(' ');
    };
    for (const afterMs of [0, 30, 400, 900]) {
      const before = await progress();
      await vi.waitFor(async () => expect(await progress()).not.toBe(before), { timeout: 20_000, interval: 5 });
      await sleep(afterMs);
      await end(stack, 'worker', 'SIGKILL');
      await restart(stack);
    }
    await expectAllGone(tenant);
  });

  it('is taken over by another worker within ten seconds', { timeout: 120_000 }, async () => {
    await using replica = Object.assign(startReplica(), {
      [Symbol.asyncDispose]: async () => void replica.kill('SIGKILL'),
    });
    await sleep(2_000);
    const tenant = await newLargeTenant();
    const holder = () =>
      withDatabase(stack, 'store', async (client) => {
        const { rows } = await client.query<{ locked_by: string | null }>('select locked_by from graphile_worker.jobs where key = $1', [
          `purge:${tenant.instanceUid}`,
        ]);
        return rows[0]?.locked_by ?? undefined;
      });
    // Only the stack's own worker can get it at first.
    replica.kill('SIGSTOP');
    await deleteInstance(tenant);
    await reaches(operator, tenant.instanceUid, REMOVING_ROWS);
    const first = await holder();
    await end(stack, 'worker', 'SIGKILL');
    replica.kill('SIGCONT');
    const start = performance.now();
    await vi.waitFor(async () => expect(await holder()).not.toBe(first), { timeout: 10_000, interval: 50 });
    await expectAllGone(tenant);
    expect(performance.now() - start).toBeLessThan(40_000);
    await restart(stack);
  });

  it('survives a restart of the database, as its worker does', { timeout: 120_000 }, async () => {
    const tenant = await newLargeTenant();
    await deleteInstance(tenant);
    await reaches(operator, tenant.instanceUid, REMOVING_ROWS);
    const pid = await pidOf(stack, 'worker');
    await end(stack, 'postgres', 'SIGINT');
    await sleep(3_000);
    await restart(stack);
    await expectAllGone(tenant);
    expect(await pidOf(stack, 'worker')).toBe(pid);
  });

  it('waits for the key service, says so, and holds up no other purge', { timeout: 120_000 }, async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 1 });
    const names = Array.from({ length: 6 }, (_, i) => `stuck-${i}`);
    const groups = await Promise.all(
      names.map((secretGroupId) => operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId, ...fresh() })),
    );
    const secret = await operator.secrets.createSecret({ parent: tenant.group, secretId: 'one', payload: text('value'), ...fresh() });
    await end(stack, 'keys', 'SIGKILL');
    for (const { name } of groups) await operator.groups.deleteSecretGroup({ name, ...fresh() });
    await vi.waitFor(
      async () => {
        const purges = await Promise.all(groups.map(({ uid }) => operator.purges.getPurge({ name: `purges/${uid}` })));
        for (const purge of purges)
          expect(purge).toMatchObject({
            state: DESTROYING_KEYS,
            lastError: expect.stringContaining('the key service could not be reached'),
          });
      },
      { timeout: 30_000 },
    );
    // More are stuck than one worker does at a time.
    await operator.secrets.deleteSecret({ name: secret.name, ...fresh() });
    await reaches(operator, secret.uid, DONE, 20_000);
    await restart(stack);
    for (const { uid } of groups) expect(await reaches(operator, uid, DONE, 70_000)).toMatchObject({ lastError: '' });
  });

  it('destroys no key that the audit log cannot be told of', { timeout: 120_000 }, async () => {
    const tenant = await newTenant(operator, { retentionSeconds: 2 });
    await operator.groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
    await end(stack, 'audit', 'SIGKILL');
    await vi.waitFor(async () => expect((await recordOf(tenant.groupUid))?.last_error).toContain('the audit log'), { timeout: 20_000 });
    expect(await recordOf(tenant.groupUid)).toMatchObject({ state: 'DESTROYING_KEYS', scope_keys_destroyed: '0' });
    await restart(stack);
    expect(countsOf(await reaches(operator, tenant.groupUid, DONE, 70_000))).toEqual([1n, 0n, 0n, 1n]);
  });
});
