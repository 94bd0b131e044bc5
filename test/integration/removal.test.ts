// How rows are found that are to be removed: each batch reads what it removes, wherever in a large tenant that stands, and a
// purge that has had its turn goes on where it was. Blocks of indexes are counted, in a database where nobody else reads.
import { join } from 'node:path';
import { runMigrations } from 'graphile-worker';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { ROOT } from '../../src/dev/stack.ts';
import type { Db } from '../../src/kernel/db.ts';
import { openLog } from '../../src/kernel/log.ts';
import { removeSecrets, removeVersions, START, type Cursor } from '../../src/store/sql/purge-rows.ts';
import { erasePayloads, selectOpenPurge, type Purge } from '../../src/store/sql/purge.ts';
import { selectWrappedDeks } from '../../src/store/sql/wrapped-deks.ts';
import { openPool } from '../../src/worker/pool.ts';
import { removeRows } from '../../src/worker/tasks/purge-rows.ts';
import { openTraffic } from '../../src/worker/traffic.ts';
import type { Worker } from '../../src/worker/worker.ts';
import { scratchDatabase, type Scratch } from './scratch.ts';

const MANY = 20_000;
const BATCH = 100;
/** From here on secrets have no versions, but for the last, which has many. */
const BARE = 's-019500';
/** A batch from the start reads fewer; one that reads all that is before it, about two hundred. */
const FEW = 100;
const [INSTANCE, GROUP, SECRET] = [
  '00000000-0000-7000-8000-000000000001',
  '00000000-0000-7000-8000-000000000002',
  '00000000-0000-7000-8000-000000000003',
];

let scratch: Scratch;
let db: Db;

beforeAll(async () => {
  const stack = inject('stack');
  scratch = await scratchDatabase(stack, join(ROOT, 'src/store/migrations'));
  db = scratch.open({ poolSize: 2 });
  const queue = openPool(scratch.options);
  await runMigrations({ pgPool: queue });
  await queue.end();
  await scratch.sql(
    `insert into instances (instance_uid, instance_id, retention_seconds, root_key) values ('${INSTANCE}', 'large', 1, '')`,
  );
  await scratch.sql(
    `insert into secret_groups (instance_uid, group_uid, group_id, state) values ('${INSTANCE}', '${GROUP}', 'large', 'PURGING')`,
  );
  await scratch.sql(`insert into secrets (instance_uid, secret_uid, group_uid, secret_id)
    select '${INSTANCE}', case i when ${MANY} then '${SECRET}' else gen_random_uuid() end, '${GROUP}', 's-' || lpad(i::text, 6, '0') from generate_series(1, ${MANY}) i`);
  await scratch.sql(`insert into secret_versions (instance_uid, secret_uid, version, kind, size_bytes, crc32c, client_specified_crc32c, wrapped_dek, sealed)
    select instance_uid, secret_uid, v, 'BYTES', 1, 0, false, '\\x01', '\\x01'
    from secrets, generate_series(1, case secret_uid when '${SECRET}' then ${MANY} else 1 end) v where secret_id < '${BARE}' or secret_uid = '${SECRET}'`);
  await scratch.sql(`insert into purges (uid, kind, instance_uid, group_uid, resource, state, purge_time, deleted_by)
    values ('${GROUP}', 'GROUP', '${INSTANCE}', '${GROUP}', 'instances/large/groups/large', 'REMOVING_ROWS', now(), '')`);
  await scratch.sql('analyze');
  // The first plan of a connection looks into every index there is.
  await readBy(async (tx) => removeSecrets(tx, await purge(), { ...START, group_uid: GROUP, secret_id: BARE }, 10));
}, 60_000);
afterAll(() => scratch[Symbol.asyncDispose]());

const purge = async (): Promise<Purge> => (await selectOpenPurge(db.read, GROUP))!;

const blocks = async (): Promise<number> => {
  const text = `select sum(idx_blks_read + idx_blks_hit)::int as blocks from pg_statio_user_tables where relname in ('secrets', 'secret_versions')`;
  return (await scratch.sql<{ blocks: number }>(text))[0]!.blocks;
};

/** Blocks of indexes that a change reads; the change itself is undone. */
const readBy = async (change: (tx: Parameters<typeof removeVersions>[0]) => Promise<unknown>): Promise<number> => {
  const before = await blocks();
  await db
    .transaction(async (tx) => {
      await change(tx);
      await tx.query({ name: '', text: 'select pg_stat_force_next_flush()', values: [] });
      throw new Error('undo');
    })
    .catch((error: unknown) => expect((error as Error).message).toBe('undo'));
  return (await blocks()) - before;
};

describe('a batch, near the end of what is large,', () => {
  const at = (secret_id: string): Cursor => ({ ...START, group_uid: GROUP, secret_id });
  const lastSecret = async (): Promise<Purge> => ({ ...(await purge()), kind: 'SECRET', uid: SECRET, secret_uid: SECRET });
  const lateVersion: Cursor = { group_uid: GROUP, secret_id: `s-${String(MANY).padStart(6, '0')}`, version: MANY - 1_000 };

  it('finds secrets of a group without what is before them', async () => {
    expect(await readBy(async (tx) => removeSecrets(tx, await purge(), at('s-019600'), 10))).toBeLessThan(FEW);
  });

  it('finds versions of secrets without what is before them', async () => {
    expect(await readBy(async (tx) => removeVersions(tx, await purge(), at('s-019400'), 10))).toBeLessThan(FEW);
  });

  it('finds versions of one secret without what is before them', async () => {
    expect(await readBy(async (tx) => removeVersions(tx, await lastSecret(), lateVersion, BATCH))).toBeLessThan(FEW);
  });

  it('finds what is to be wrapped anew without what is before it', async () => {
    const { instance_uid } = await purge();
    const row = { instance_uid, group_uid: GROUP, secret_cursor: lateVersion.secret_id, version_cursor: lateVersion.version };
    expect(await readBy((tx) => selectWrappedDeks(tx, row as Parameters<typeof selectWrappedDeks>[1], BATCH))).toBeLessThan(FEW);
  });
});

describe('a purge of much', () => {
  it('erases every version of a secret', async () => {
    const secret: Purge = { ...(await purge()), kind: 'SECRET', uid: SECRET, secret_uid: SECRET };
    let erased = 0;
    for (let after: number | undefined = 0; after !== undefined;) {
      after = await db.transaction((tx) => erasePayloads(tx, secret, after!, 5_000));
      erased += after === undefined ? 0 : 1;
    }
    expect(erased).toBe(MANY / 5_000);
    const left = await scratch.sql(`select 1 from secret_versions where secret_uid = '${SECRET}' and wrapped_dek is not null`);
    expect(left).toEqual([]);
  });

  it('goes on in its next turn where the last one ended, in the same table, until nothing is left', async () => {
    const worker = { db, log: openLog('test', 'silent'), traffic: openTraffic(db, undefined) } as Worker;
    const cursors: string[] = [];
    // A turn is over after some batches.
    for (let turn = 0; (await purge()).state === 'REMOVING_ROWS'; turn++) {
      let batches = 0;
      await removeRows(worker, await purge(), { signal: new AbortController().signal, isOver: () => ++batches > 6 });
      const { rows_cursor: at } = await purge();
      cursors.push(`${'versions secrets groups'.split(' ').indexOf(at!.counter)} ${at!.secret_id} ${String(at!.version).padStart(6, '0')}`);
    }
    expect(cursors.length).toBeGreaterThan(2);
    // The group, which comes last, has no secret_id.
    expect(cursors).toEqual(cursors.toSorted());
    const { versions_removed: versions, secrets_removed: secrets, groups_removed: groups } = await purge();
    expect([versions, secrets, groups]).toEqual([BigInt(MANY + 19_499), BigInt(MANY), 1n]);
    expect(
      await scratch.sql('select 1 from secrets union all select 1 from secret_versions union all select 1 from secret_groups'),
    ).toEqual([]);
  });
});
