// PostgreSQL's disk is full, in the middle of a purge or under the audit log: no file may grow beyond what it has. A limit on the size of files does
// that to an ordinary user's server, while it runs (setrlimit(2), RLIMIT_FSIZE; PostgreSQL ignores the signal and reports the
// error as it reports a full disk). The purge says that it cannot go on, nothing
// is lost, and it ends when there is room; and nothing is read that the audit log has no room for.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { dataPlaceOf } from '../../src/dev/drill/restored.ts';
import type { Stack } from '../../src/dev/stack.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import type { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { event as newEvent } from '../integration/scratch-log.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { logOf, pidOf, startStack, withDatabase, type TestStack } from '../support/stack.ts';
import { fresh, newTenant, text, type Tenant } from '../support/tenants.ts';
import { countsOf, fillTables, reaches, rowsOf } from '../worker/purges.ts';

/** A limit below this would stop the write-ahead log too, and with it the server. */
const WAL_FILE = 16 * 1024 * 1024;
const VERSIONS = 400;
const canLimit = spawnSync('prlimit', ['--version']).status === 0;

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

/** A server has a process for each connection, and new ones have what their parent has. */
const limit = async (bytes: number | 'unlimited'): Promise<void> => {
  const parent = await pidOf(stack, 'postgres');
  const isChild = (pid: string): boolean => {
    try {
      return new RegExp(`^PPid:\\t${parent}$`, 'm').test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  };
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name) && isChild(name));
  const { account } = dataPlaceOf(stack);
  const set = (pid: string): string => spawnSync('prlimit', ['--pid', pid, `--fsize=${bytes}:`], { ...account, encoding: 'utf8' }).stderr;
  expect(set(String(parent))).toBe('');
  // One may have ended meanwhile.
  for (const pid of children) set(pid);
};

/** A secret whose versions, when they are erased, make their table grow: it is large, and has no free space that is known. */
const newSecret = async (): Promise<{ tenant: Tenant; secret: Secret; size: number }> => {
  const [others, tenant] = [await newTenant(operator), await newTenant(operator, { retentionSeconds: 1 })];
  const secret = await operator.secrets.createSecret({ parent: tenant.group, secretId: 's', payload: text('value'), ...fresh() });
  await withDatabase(stack, 'store', (client) => client.query('alter table secret_versions set (autovacuum_enabled = false)'));
  await fillTables(stack, others.groupUid, 25_000, 2);
  const size = await withDatabase(stack, 'store', async (client) => {
    await client.query(
      `insert into secret_versions (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed)
        select $1, $2, v, 'BYTES', 256, 0, false, '\\x01', decode(repeat('01', 300), 'hex') from generate_series(2, $3::int) v`,
      [tenant.instanceUid, secret.uid, VERSIONS],
    );
    await client.query('update secrets set latest_version = $2 where secret_uid = $1', [secret.uid, VERSIONS]);
    const { rows } = await client.query<{ size: string }>(`select pg_relation_size('secret_versions')::text as size`);
    return Number(rows[0]!.size);
  });
  return { tenant, secret, size };
};

/** Versions that are still whole. */
const sealedOf = ({ instanceUid }: Tenant): Promise<number | undefined> =>
  withDatabase(stack, 'store', async (client) => {
    const statement = 'select count(sealed)::int as count from secret_versions where instance_uid = $1';
    return (await client.query<{ count: number }>(statement, [instanceUid])).rows[0]?.count;
  });

describe.runIf(canLimit)('a purge whose database has no room', () => {
  it(
    'waits and says that it has failed, others work where there is room, and it ends when there is room again',
    { timeout: 180_000 },
    async () => {
      const { tenant, secret, size } = await newSecret();
      const { name, uid } = secret;
      expect(size).toBeGreaterThan(WAL_FILE);
      await limit(size);
      await operator.secrets.deleteSecret({ name, ...fresh() });
      const stuck = await vi.waitFor(
        async () => {
          const purge = await operator.purges.getPurge({ name: `purges/${uid}` });
          expect(purge.lastError).not.toBe('');
          return purge;
        },
        { timeout: 60_000, interval: 50 },
      );
      expect(stuck.state).toBe(Purge_State.DESTROYING_KEYS);
      expect(logOf(stack, 'postgres')).toMatch(/could not extend file .*: File too large/);
      expect(await sealedOf(tenant)).toBe(VERSIONS);
      await newTenant(operator);
      await limit('unlimited');
      const purge = await reaches(operator, uid, Purge_State.DONE, 120_000);
      expect(purge.lastError).toBe('');
      expect(countsOf(purge)).toEqual([0n, BigInt(VERSIONS), 1n, 0n]);
      expect(await rowsOf(stack, tenant.instanceUid)).toEqual([1, 1, 0, 0]);
    },
  );
});

describe.runIf(canLimit)('an audit log whose database has no room', () => {
  const fill = (store: Clients, count: number) =>
    store.auditWriter.appendEvents({ events: Array.from({ length: count }, () => newEvent({ resource: 'r'.repeat(400) })) });

  it('takes nothing and lets nobody read, in time, and goes on without a gap when there is room again', { timeout: 120_000 }, async () => {
    using store = clientsOf(stack, 'store');
    using auditor = clientsOf(stack, 'auditor');
    const { instance } = await newTenant(operator);
    const read = () => operator.instances.getInstance({ name: instance }, { timeoutMs: 3_000 });
    for (let i = 0; i < 18; i++) await fill(store, 1_000);
    const size = await withDatabase(stack, 'audit', async (client) => {
      const { rows } = await client.query<{ size: string }>(
        `select max(pg_relation_size(relid))::text as size from pg_partition_tree('entries') where isleaf`,
      );
      return Number(rows[0]!.size);
    });
    expect(size).toBeGreaterThan(WAL_FILE);
    await limit(size);
    try {
      expect(await refusalOf(fill(store, 1_000))).toMatchObject({ code: 'UNAVAILABLE', reason: 'AUDIT_UNAVAILABLE' });
      // What is left of the last pages is filled by single entries.
      await vi.waitFor(
        async () => {
          const refusals = await Promise.all(
            Array.from({ length: 50 }, () =>
              read().then(
                () => undefined,
                (error: unknown) => error,
              ),
            ),
          );
          expect(refusals).not.toContain(undefined);
          for (const error of refusals) expect(await refusalOf(Promise.reject(error))).toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
        },
        { timeout: 60_000, interval: 0 },
      );
      expect(logOf(stack, 'postgres')).toMatch(/could not extend file .*: File too large/);
    } finally {
      await limit('unlimited');
    }
    await vi.waitFor(read, { timeout: 10_000 });
    const { treeSize } = await auditor.auditLog.getCheckpoint({});
    const [row] = await withDatabase(stack, 'audit', async (client) => {
      const statement = 'select count(*)::int as count, max(index)::int as newest from entries where index < $1';
      return (await client.query<{ count: number; newest: number }>(statement, [treeSize])).rows;
    });
    expect([row!.count, row!.newest + 1]).toEqual([Number(treeSize), Number(treeSize)]);
  });
});
