// Erasure in the audit log: what an erased field leaves behind, and what it does not; and that every proof stays what it was.
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitmentOf } from '../../src/audit/private.ts';
import { eraseFields } from '../../src/audit/rpc/erase-fields.ts';
import { getEntry } from '../../src/audit/rpc/get-entry.ts';
import { getInclusionProof } from '../../src/audit/rpc/get-inclusion-proof.ts';
import { listEntries } from '../../src/audit/rpc/list-entries.ts';
import { EraseFieldsRequest, type EraseFieldsResponse } from '../../src/gen/strongroom/audit/v1/audit_admin_service.ts';
import { ListEntriesRequest } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { READER } from '../support/audit-reader.ts';
import { callOf, DAY_MS, daysAgo, newLog, proves, type AuditLog } from './audit-scene.ts';
import { NEWEST } from './scratch-log.ts';

const app2 = 'spiffe://strongroom.internal/app2';
const instanceUid = '0190a5c0-0000-7000-8000-0000000000aa';
const ADDRESS = '203.0.113.77';

let log: AuditLog;
beforeAll(async () => {
  log = await newLog();
  await daysAgo(10, () => log.fill(1_300, (i) => (i % 2 === 0 ? { principal: app2 } : { instanceUid })));
  await log.fill(50, () => ({ principal: app2, instanceUid }));
});
afterAll(() => log[Symbol.asyncDispose]());

const erase = (request: Partial<EraseFieldsRequest>): Promise<EraseFieldsResponse> =>
  eraseFields(
    log.auditOf(),
    EraseFieldsRequest.fromPartial(request),
    callOf('audit.field.erase', ['fields', 'indexes', 'count', 'validateOnly']),
  );
const newestErasure = async () =>
  (await listEntries(log.auditOf(), ListEntriesRequest.fromPartial({ action: 'audit.field.erase', pageSize: 1 }), READER)).entries[0]!;
const countIn = async (text: string): Promise<number> => {
  const tables = ['entries', 'private_fields', 'event_ids', 'tiles', 'checkpoints', 'log_state', 'keeping', 'ranges'];
  const parts = tables.map((table) => `select count(*)::int as n from ${table} t where t::text like '%' || $1 || '%'`);
  const [row] = await log.scratch.sql<{ n: number }>(`select sum(n)::int as n from (${parts.join(' union all ')}) s`, [text]);
  return row!.n;
};
const before = (ms: number) => new Date(Date.now() - ms);

describe('an entry', () => {
  it('shows its private fields with what opens them, so that an auditor can check the commitment in its leaf', async () => {
    const { leaf, event, privateFields } = await getEntry(log.auditOf(), { index: 3n }, READER);
    expect(event?.sourceAddress).toBe(ADDRESS);
    expect(privateFields).toMatchObject([{ name: 'source_address', value: ADDRESS, erased: false }]);
    const [{ name: field, value, key, commitment }] = privateFields as [(typeof privateFields)[0]];
    expect(commitmentOf({ field, value, key })).toEqual(commitment);
    expect(JSON.parse(leaf.toString('utf8'))).toMatchObject({ private: { source_address: commitment.toString('base64') } });
    expect(leaf.toString('utf8')).not.toContain(ADDRESS);
  });

  it('with another value in the place of a private field is not given out', async () => {
    await log.scratch.sql(`update private_fields set value = '198.51.100.1' where index = 4`);
    await expect(getEntry(log.auditOf(), { index: 4n }, READER)).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
    await log.scratch.sql(`update private_fields set value = $1 where index = 4`, [ADDRESS]);
  });
});

describe('an erased field', () => {
  it('is nowhere, and its entry, its hash and its proof are what they were', async () => {
    const audit = log.auditOf();
    const indexes = [5n, 6n, 7n];
    const entries = await Promise.all(indexes.map((index) => getEntry(audit, { index }, READER)));
    const proofs = await Promise.all(indexes.map((index) => getInclusionProof(audit, { ...NEWEST, index }, READER)));
    const tables = () => log.scratch.sql('select size, root, note from checkpoints where size <= 1350 order by size');
    const tiles = () => log.scratch.sql('select level, tile, hashes from tiles order by level, tile');
    const [checkpoints, oldTiles] = [await tables(), await tiles()];

    expect(await erase({ indexes })).toEqual({ indexes, fieldCount: 3, nextIndex: 0n });
    expect(await newestErasure()).toMatchObject({
      event: {
        outcome: 1,
        attributes: new Map([
          ['count', '3'],
          ['fields', 'source_address'],
          ['indexes', '5,6,7'],
        ]),
      },
    });
    for (const [i, old] of entries.entries()) {
      const entry = await getEntry(audit, { index: old.index }, READER);
      expect([entry.leaf, entry.leafHash, entry.recordTime]).toEqual([old.leaf, old.leafHash, old.recordTime]);
      expect(entry.event).toEqual({ ...old.event, sourceAddress: '' });
      const [field] = entry.privateFields;
      expect(field).toMatchObject({ value: '', erased: true, commitment: old.privateFields[0]!.commitment });
      expect(field?.key).toHaveLength(0);
      await proves(audit, old.index, old.leaf);
      // Nothing that is left knows the key, so nobody can try addresses on the commitment.
      expect(await countIn(old.privateFields[0]!.key.toString('hex'))).toBe(0);
      expect(proofs[i]?.receipt).toContain(proofs[i]?.checkpoint?.note);
    }
    expect([await tables(), await tiles()]).toEqual([checkpoints, oldTiles]);
  });

  it('cannot be guessed from its entry or from the digest by which repeats are known', async () => {
    const [row] = await log.scratch.sql<{ leaf: Buffer; event_digest: Buffer }>(
      'select leaf, event_digest from entries join event_ids using (index) where index = 5',
    );
    const { private: hidden, recordTime, ...rest } = JSON.parse(row!.leaf.toString('utf8')) as Record<string, unknown>;
    expect([hidden, recordTime]).toEqual([expect.anything(), expect.anything()]);
    // All of the digest comes from what the entry says anyway: with it or without, somebody who guesses learns nothing.
    delete rest['observer'];
    expect(createHash('sha256').update(JSON.stringify(rest)).digest()).toEqual(row?.event_digest);
  });
});

describe('an erasure', () => {
  it('by principal and time takes a bounded part at once, says where to go on, and in the end has left nothing', async () => {
    const asked = { principal: app2, beforeTime: before(5 * DAY_MS) };
    const planned = await erase({ ...asked, validateOnly: true });
    expect(planned.indexes).toHaveLength(649);
    expect((await erase({ ...asked, validateOnly: true })).indexes).toEqual(planned.indexes);
    const done = await erase(asked);
    expect([done.indexes, done.fieldCount, done.nextIndex]).toEqual([planned.indexes, 649, 0n]);
    expect(await erase(asked)).toEqual({ indexes: [], fieldCount: 0, nextIndex: 0n });
    // What the principal did later is still there.
    expect((await getEntry(log.auditOf(), { index: 1_310n }, READER)).event?.sourceAddress).toBe(ADDRESS);
    const { entries } = await listEntries(
      log.auditOf(),
      ListEntriesRequest.fromPartial({ action: 'audit.field.erase', pageSize: 20 }),
      READER,
    );
    const named = entries.filter(({ event }) => event?.attributes.get('count') === '100');
    expect(named).toHaveLength(6);
  });

  it('of more entries than one call takes goes on from the index that the call before names', async () => {
    const asked = { instanceUid, beforeTime: before(-DAY_MS) };
    await log.fill(400, () => ({ instanceUid }));
    const first = await erase(asked);
    expect(first.indexes).toHaveLength(1_000);
    expect(first.nextIndex).toBeGreaterThan(first.indexes.at(-1)!);
    const second = await erase({ ...asked, minIndex: first.nextIndex });
    expect([second.indexes[0], second.nextIndex]).toEqual([first.nextIndex, 0n]);
    expect(second.indexes).toHaveLength(648 + 50 + 400 - 1_000);
  });

  it('that the log cannot record is not made', async () => {
    await log.fill(1);
    const [row] = await log.scratch.sql<{ index: string }>('select max(index) as index from private_fields');
    const index = BigInt(row!.index);
    const gone = () => Promise.reject(new AppError('AUDIT_UNAVAILABLE', 'gone'));
    const audit = { ...log.auditOf(), auditor: { append: gone } };
    const request = EraseFieldsRequest.fromPartial({ indexes: [index] });
    await expect(
      eraseFields(audit, request, callOf('audit.field.erase', ['fields', 'indexes', 'count', 'validateOnly'])),
    ).rejects.toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
    expect((await getEntry(log.auditOf(), { index }, READER)).event?.sourceAddress).toBe(ADDRESS);
  });

  it.each<[string, string, Partial<EraseFieldsRequest>]>([
    ['indexes', 'of nothing', {}],
    ['indexes', 'of indexes and a principal', { indexes: [1n], principal: app2 }],
    ['indexes', 'of 1,001 entries', { indexes: Array.from({ length: 1_001 }, (_, i) => BigInt(i)) }],
    ['indexes', 'of a negative index', { indexes: [-1n] }],
    ['before_time', 'of a principal without a time', { principal: app2 }],
    ['principal', 'of everybody before a time', { beforeTime: new Date() }],
    ['principal', 'of a principal that is none', { principal: 'app', beforeTime: new Date() }],
    ['instance_uid', 'of an instance that is none', { instanceUid: 'i', beforeTime: new Date() }],
    ['fields', 'of a field that is not private', { indexes: [1n], fields: ['principal'] }],
    ['min_index', 'from a negative index on', { indexes: [1n], minIndex: -1n }],
  ])('names what is wrong with it: %s, %s', async (field, _, request) => {
    await expect(erase(request)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
  });
});
