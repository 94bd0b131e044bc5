// What tests of purges share: tenants with much in them, what is left of them, and waiting for a purge.
import { vi } from 'vitest';
import type { Stack } from '../../src/dev/stack.ts';
import { Instance } from '../../src/gen/strongroom/secrets/v1/instance_service.ts';
import { Purge_State, type Purge } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import type { Clients } from '../support/clients.ts';
import { withDatabase } from '../support/stack.ts';
import { fresh, text } from '../support/tenants.ts';

/** `count` secrets with two versions each, made as callers make them. */
export const fill = async (operator: Clients, parent: string, count: number): Promise<void> => {
  const ids = Array.from({ length: count }, (_, i) => `s-${i}`);
  const make = async (secretId: string): Promise<void> => {
    await operator.secrets.createSecret({ parent, secretId, payload: text('first'), ...fresh() });
    await operator.secrets.addSecretVersion({ parent: `${parent}/secrets/${secretId}`, payload: text('second'), ...fresh() });
  };
  for (let i = 0; i < count; i += 32) await Promise.all(ids.slice(i, i + 32).map(make));
};

/** Many more than callers could make in the time of a test: rows of the right shape, straight into the tables. */
export const fillTables = (stack: Stack, groupUid: string, secrets: number, versions: number): Promise<void> =>
  withDatabase(stack, 'store', async (client) => {
    await client.query(
      `insert into secrets (instance_uid, secret_uid, group_uid, secret_id, latest_version)
        select instance_uid, gen_random_uuid(), group_uid, 't-' || i, $3 from secret_groups, generate_series(1, $2::int) i where group_uid = $1`,
      [groupUid, secrets, versions],
    );
    await client.query(
      `insert into secret_versions (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed)
        select instance_uid, secret_uid, v, 'BYTES', 256, 0, false, '\\x01', decode(repeat('01', 300), 'hex')
        from secrets, generate_series(1, $2::int) v where group_uid = $1 and secret_id like 't-%'`,
      [groupUid, versions],
    );
  });

/** Rows of an instance in the store's tables: instances, groups, secrets, versions. */
export const rowsOf = (stack: Stack, instanceUid: string): Promise<number[]> =>
  withDatabase(stack, 'store', async (client) => {
    const { rows } = await client.query<{ count: number }>(
      `select count(*)::int as count from instances where instance_uid = $1
        union all select count(*)::int from secret_groups where instance_uid = $1
        union all select count(*)::int from secrets where instance_uid = $1
        union all select count(*)::int from secret_versions where instance_uid = $1`,
      [instanceUid],
    );
    return rows.map(({ count }) => count);
  });

/** How many jobs wait or run for a purge. */
export const jobsOf = (stack: Stack, uid: string): Promise<number> =>
  withDatabase(stack, 'store', async (client) => {
    const { rows } = await client.query<{ count: number }>('select count(*)::int as count from graphile_worker.jobs where key = $1', [
      `purge:${uid}`,
    ]);
    return rows[0]?.count ?? 0;
  });

/** The purge, when it has come this far; fails with what holds it up. */
export const reaches = (operator: Clients, uid: string, state: Purge_State, timeout = 40_000): Promise<Purge> =>
  vi.waitFor(
    async () => {
      const purge = await operator.purges.getPurge({ name: `purges/${uid}` });
      if (purge.state < state) throw new Error(`the purge is in state ${purge.state}, not ${state}: ${purge.lastError || 'no error'}`);
      return purge;
    },
    { timeout, interval: 50 },
  );

/** For resources that are deleted from now on. */
export const setRetention = async (operator: Clients, name: string, seconds: number): Promise<void> => {
  const instance = Instance.fromPartial({ name, retention: { seconds: BigInt(seconds) } });
  await operator.instances.updateInstance({ instance, updateMask: ['retention'], ...fresh() });
};

export const countsOf = (purge: Purge): bigint[] => [
  purge.scopeKeysDestroyedCount,
  purge.versionsRemovedCount,
  purge.secretsRemovedCount,
  purge.groupsRemovedCount,
];
