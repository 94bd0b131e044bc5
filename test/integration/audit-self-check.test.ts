// The audit log's check of itself: whoever changes a row past it, as its owner can, is found out without anybody asking for that row.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listEntries } from '../../src/audit/rpc/list-entries.ts';
import { ListEntriesRequest } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import type { Log } from '../../src/kernel/log.ts';
import { metrics } from '../../src/kernel/metrics.ts';
import { newLog, type AuditLog } from './audit-scene.ts';
import { READER } from '../support/audit-reader.ts';
import { silentLog } from './scratch.ts';

/** What is put back after each change. */
const KEPT = { entries: 'index < 1500', private_fields: 'index < 1500', tiles: 'tile < 5', checkpoints: 'size <= 1500' };

let log: AuditLog;
beforeAll(async () => {
  log = await newLog();
  await log.fill(1_500);
  for (const table of Object.keys(KEPT)) await log.scratch.sql(`create table kept_${table} as table ${table}`);
});
afterAll(() => log[Symbol.asyncDispose]());

const restore = async (): Promise<void> => {
  for (const [table, condition] of Object.entries(KEPT)) {
    await log.scratch.sql(`delete from ${table} where ${condition}`);
    await log.scratch.sql(`insert into ${table} table kept_${table} on conflict do nothing`);
  }
};
const found = async () => (await metrics.auditMismatches.get()).values[0]?.value ?? 0;

const SWAP = `update entries a set leaf = b.leaf, leaf_hash = b.leaf_hash from entries b
  where a.index in (10, 11) and b.index = 21 - a.index`;

describe('the check of itself', () => {
  it('comes to the end of a log in which nothing was changed, and finds nothing', async () => {
    await using check = log.checkOf(silentLog);
    await expect.poll(() => check.status().passEndTime, { timeout: 10_000 }).toBeDefined();
    expect(check.status().mismatch).toBeUndefined();
  });

  it.each([
    ['an entry', 700n, `update entries set leaf = leaf || '\\x20' where index = 700`],
    [
      'an entry, and its hash with it',
      3n,
      `update entries set leaf = leaf || '\\x20', leaf_hash = sha256('\\x00'::bytea || leaf || '\\x20'::bytea) where index = 3`,
    ],
    ['an entry near the end', 1_499n, `update entries set leaf = leaf || '\\x20' where index = 1499`],
    ['an entry that was removed', 1_024n, 'delete from entries where index = 1024'],
    ['two entries that have changed places', 10n, SWAP],
    ['a column that an entry is found by', 400n, `update entries set principal = 'spiffe://strongroom.internal/other' where index = 400`],
    ['the time of an entry', 300n, `update entries set record_time = record_time - interval '40 days' where index = 300`],
    ['the value of a private field', 800n, `update private_fields set value = '198.51.100.7' where index = 800`],
    ['a tile', 512n, `update tiles set hashes = set_byte(hashes, 0, 255 - get_byte(hashes, 0)) where level = 0 and tile = 2`],
    ['a tile that was removed', 256n, 'delete from tiles where level = 0 and tile = 1'],
    [
      'the newest checkpoint',
      null,
      `update checkpoints set note = replace(note, 'test', 'tess') where size = (select size from log_state)`,
    ],
  ])('finds %s', async (_, index, change) => {
    const before = await found();
    const size = (await log.writer.current()).tree.size;
    const lines: object[] = [];
    const noisy: Log = { ...silentLog, error: (fields) => void lines.push(fields) };
    await log.scratch.sql(change);
    {
      await using check = log.checkOf(noisy);
      await expect.poll(() => check.status().passEndTime, { timeout: 10_000 }).toBeDefined();
      const where = index ?? size - 1n;
      expect(check.status().mismatch).toMatchObject({ index: where });
      expect(lines[0]).toMatchObject({ index: String(where) });
      expect(await found()).toBeGreaterThan(before);
    }
    const request = ListEntriesRequest.fromPartial({ action: 'audit.log.mismatch', minIndex: size });
    const { entries } = await listEntries(log.auditOf(), request, READER);
    expect(entries.at(-1)?.event).toMatchObject({ outcome: 2, code: 15, reason: 'DATA_CORRUPTED', resource: `log/${index ?? size - 1n}` });
    await restore();
  });
});
