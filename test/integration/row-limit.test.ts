// How fast rows go: never more in a second than is configured, however many purges are at it, and slower while the
// database is slow for others.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { HOST, tlsFilesOf } from '../../src/dev/stack.ts';
import { openServiceDb, type Db } from '../../src/kernel/db.ts';
import { openLog } from '../../src/kernel/log.ts';
import { selectOpenPurge } from '../../src/store/sql/purge.ts';
import { removeRows } from '../../src/worker/tasks/purge-rows.ts';
import { openTraffic } from '../../src/worker/traffic.ts';
import type { Worker } from '../../src/worker/worker.ts';
import { clientsOf } from '../support/clients.ts';
import { withDatabase } from '../support/stack.ts';
import { fresh, newTenant, type Tenant } from '../support/tenants.ts';
import { fillTables, rowsOf } from '../worker/purges.ts';

const stack = inject('stack');
const operator = clientsOf(stack, 'operator');
const log = openLog('test', 'silent');
let db: Db;
beforeAll(() => {
  const database = { host: HOST, port: stack.ports.postgres, name: 'store', user: 'worker', poolSize: 4, tls: tlsFilesOf(stack, 'worker') };
  db = openServiceDb(database, log);
});
afterAll(async () => {
  operator[Symbol.dispose]();
  await db.close();
});

/** A group whose rows are to be removed, and that the stack's own worker leaves alone, as it is not due. */
const newDoomed = async (secrets: number): Promise<Tenant> => {
  const tenant = await newTenant(operator);
  await fillTables(stack, tenant.groupUid, secrets, 2);
  await operator.groups.deleteSecretGroup({ name: tenant.group, ...fresh() });
  await withDatabase(stack, 'store', (owner) =>
    owner.query(`update purges set state = 'REMOVING_ROWS', keys_destroyed_time = now() where uid = $1`, [tenant.groupUid]),
  );
  return tenant;
};

/** Milliseconds until all rows of all these are gone. */
const removeAll = async (tenants: readonly Tenant[], traffic: Worker['traffic']): Promise<number> => {
  const worker = { db, log, traffic } as Worker;
  const begun = performance.now();
  await Promise.all(
    tenants.map(async ({ groupUid, instanceUid }) => {
      const purge = await selectOpenPurge(db.read, groupUid);
      await removeRows(worker, purge!, { signal: new AbortController().signal, isOver: () => false });
      expect(await rowsOf(stack, instanceUid)).toEqual([1, 0, 0, 0]);
    }),
  );
  return performance.now() - begun;
};

describe('a limit of rows', () => {
  it('holds for two purges together', async () => {
    const tenants = [await newDoomed(500), await newDoomed(500)];
    const rows = 2 * 1_501;
    const ms = await removeAll(tenants, openTraffic(db, 1_000));
    // The first batches are free, and the last ones owe their time to nobody.
    expect(rows / (ms / 1_000)).toBeLessThan(1_000 * 1.3);
    expect(rows / (ms / 1_000)).toBeGreaterThan(500);
  });
});

describe('a database that is slow for others', () => {
  it('is left to them: the same rows take longer', async () => {
    const quiet = await removeAll([await newDoomed(4_000)], openTraffic(db, undefined));
    let pings = 0;
    const slow = openTraffic(
      {
        ping: async () => {
          await db.ping();
          if (pings++ > 0) await new Promise((resolve) => setTimeout(resolve, 20));
        },
      },
      undefined,
    );
    expect(await removeAll([await newDoomed(4_000)], slow)).toBeGreaterThan(1.5 * quiet);
  });
});
