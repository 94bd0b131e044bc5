// The one writer of the audit log on a real database: what is acknowledged stays, once, provable; what was changed behind
// its back is found.
import { v7 as uuidv7 } from 'uuid';
import { describe, expect, it } from 'vitest';
import type { Audit } from '../../src/audit/audit.ts';
import { parseCheckpoint } from '../../src/audit/checkpoint.ts';
import { draftOf } from '../../src/audit/event.ts';
import { leafHash, rootFromInclusion } from '../../src/audit/merkle.ts';
import { openNote, openSigner } from '../../src/audit/note.ts';
import { openOutside } from '../../src/audit/outside.ts';
import { getEntry } from '../../src/audit/rpc/get-entry.ts';
import { getInclusionProof } from '../../src/audit/rpc/get-inclusion-proof.ts';
import { openWriter } from '../../src/audit/writer.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import { READER } from '../support/audit-reader.ts';
import { append, draft, event, forge, NEWEST, newLog, signer, source } from './scratch-log.ts';
import { silentLog } from './scratch.ts';

/** Proves every given entry from what a caller gets, with nothing but the verifier key. */
const proves = async (audit: Audit, index: bigint): Promise<void> => {
  const { hashes, checkpoint, receipt } = await getInclusionProof(audit, { index, ...NEWEST }, READER);
  const { leaf } = await getEntry(audit, { index }, READER);
  const signed = parseCheckpoint(openNote(checkpoint!.note, signer.verifier) ?? '');
  expect(signed?.size).toBe(checkpoint?.treeSize);
  expect(rootFromInclusion(index, signed!.size, leafHash(leaf), hashes), `entry ${index}`).toEqual(signed?.root);
  expect(receipt.endsWith(checkpoint!.note)).toBe(true);
};

describe('an append', () => {
  it('is answered with an index without gaps, and from then on is stored, signed and provable', async () => {
    await using log = await newLog();
    for (let i = 0n; i < 5n; i++) expect(await append(log.writer, draft())).toBe(i);
    expect(await log.count('entries')).toBe(5);
    for (let i = 0n; i < 5n; i++) await proves(log.auditOf(log.writer), i);
  });

  it('of the same event again has its first index: at once, later, together with new ones, and after a restart', async () => {
    await using log = await newLog();
    const one = draft();
    expect(await Promise.all([one, one, one].map((d) => append(log.writer, d)))).toEqual([0n, 0n, 0n]);
    expect(await append(log.writer, one)).toBe(0n);
    expect(await Promise.all([draft(), one, draft()].map((d) => append(log.writer, d)))).toEqual([1n, 0n, 2n]);
    expect(await append(await log.restart(), one)).toBe(0n);
    expect(await log.count('entries')).toBe(3);
  });

  it('of another event under a known id is refused, and its neighbours are not', async () => {
    await using log = await newLog();
    const eventId = uuidv7();
    expect(await append(log.writer, draft({ eventId }))).toBe(0n);
    const outcomes = await Promise.allSettled(
      [draft(), draft({ eventId, resource: 'instances/other' }), draft()].map((d) => append(log.writer, d)),
    );
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: 1n },
      { status: 'rejected', reason: { reason: 'EVENT_ID_REUSED', code: 'ALREADY_EXISTS', metadata: { eventId } } },
      { status: 'fulfilled', value: 2n },
    ]);
    // Both new and in one batch: the first is taken.
    const twice = uuidv7();
    const [first, second] = await Promise.allSettled(
      [draft({ eventId: twice }), draft({ eventId: twice, resource: 'instances/other' })].map((d) => append(log.writer, d)),
    );
    expect([first?.status, second?.status]).toEqual(['fulfilled', 'rejected']);
  });

  it('under an id that another source has used is an event of its own', async () => {
    await using log = await newLog();
    const one = event();
    const keys = parseSpiffeId('spiffe://strongroom.internal/service/keys')!;
    expect(await append(log.writer, draftOf(one, source))).toBe(0n);
    expect(await append(log.writer, draftOf(one, keys))).toBe(1n);
  });

  it('shares its commit with all that wait beside it', async () => {
    await using log = await newLog();
    const indexes = await Promise.all(Array.from({ length: 600 }, () => append(log.writer, draft())));
    expect(indexes.toSorted((a, b) => Number(a - b))).toEqual(Array.from({ length: 600 }, (_, i) => BigInt(i)));
    expect(await log.count('checkpoints')).toBeLessThanOrEqual(3);
    expect(await log.count('tiles')).toBe(2);
    for (const index of [0n, 255n, 256n, 511n, 512n, 599n]) await proves(log.auditOf(log.writer), index);
  });

  it('keeps every character of a name, whatever it means to JSON or to PostgreSQL', async () => {
    await using log = await newLog();
    const resource = 'quote " backslash \\ \\u0000 \\x00 é 😀 \u2028 \' ; -- $1';
    const index = await append(log.writer, draft({ resource, attributes: new Map([['k', resource]]) }));
    const entry = await getEntry(log.auditOf(log.writer), { index }, READER);
    expect([entry.event?.resource, entry.event?.attributes.get('k')]).toEqual([resource, resource]);
    expect(await log.scratch.sql('select resource from entries')).toEqual([{ resource }]);
  });
});

describe('a restart', () => {
  it.each([0, 1, 255, 256, 257])('of a log of %i entries goes on where it was, and proves old and new', async (size) => {
    await using log = await newLog(size);
    const before = await log.writer.current();
    const again = await log.restart();
    const after = await again.current();
    expect([after.tree, after.checkpoint.root]).toEqual([before.tree, before.checkpoint.root]);
    expect(after.epoch).toBe(before.epoch + 1n);
    for (let i = 0; i < 3; i++) expect(await append(again)).toBe(BigInt(size + i));
    for (const index of new Set([0, Math.max(size - 1, 0), size, size + 2])) await proves(log.auditOf(again), BigInt(index));
  });

  it('never lets the record time go back', async () => {
    await using log = await newLog(1);
    await log.scratch.sql(`update log_state set record_time = now() + interval '1 hour'`);
    await append(await log.restart());
    const [row] = await log.scratch.sql<{ ahead: boolean }>(
      `select record_time > now() + interval '59 minutes' as ahead from entries where index = 1`,
    );
    expect(row?.ahead).toBe(true);
  });
});

describe('a log that was changed behind its back', () => {
  const [CHANGED, ROOT, SIGNED] = ['an entry near its end was changed', 'do not lead to its root', 'is not signed with this key'];
  it.each([
    ['the newest entry has other bytes', CHANGED, `update entries set leaf = leaf || '\\x20' where index = 299`],
    [
      'the newest entry has other bytes and a hash that fits them',
      ROOT,
      `update entries set leaf = leaf || '\\x20', leaf_hash = sha256('\\x00'::bytea || leaf || '\\x20'::bytea) where index = 299`,
    ],
    ['the newest entry is gone', 'entries are missing at its end', 'delete from entries where index = 299'],
    [
      'two entries have changed places',
      ROOT,
      `update entries a set leaf = b.leaf, leaf_hash = b.leaf_hash from entries b where a.index = 298 and b.index = 297`,
    ],
    ['a tile has another hash', ROOT, `update tiles set hashes = set_byte(hashes, 100, (get_byte(hashes, 100) + 1) % 256)`],
    ['a tile is gone', 'tiles of level 0 are missing', 'delete from tiles'],
    ['the newest checkpoint is gone', 'there is no checkpoint of its size 300', 'delete from checkpoints where size = 300'],
    [
      'the newest checkpoint has another signature',
      SIGNED,
      `update checkpoints set note = overlay(note placing 'A' from length(note) - 20) where size = 300`,
    ],
    ['its state has another root', SIGNED, 'update log_state set frontier = set_byte(frontier, 5, (get_byte(frontier, 5) + 1) % 256)'],
    ['its state has another size', 'its state has the wrong shape', 'update log_state set size = 299'],
  ])('is not continued: %s (%s)', async (_, check, change) => {
    await using log = await newLog(300);
    await log.scratch.sql(change);
    await expect(log.open()).rejects.toThrow(check);
  });

  it('is not continued: an entry and all that hangs on it are other ones, but for the signature', async () => {
    await using log = await newLog(300);
    await forge(log, 7);
    await expect(log.open()).rejects.toThrow(SIGNED);
  });

  it('is not continued under another signing key', async () => {
    await using log = await newLog(1);
    const other = openSigner('test.example/log', Buffer.alloc(32, 4));
    await expect(
      openWriter({ db: log.db, signer: other, log: silentLog, outside: openOutside([], other.verifiers, silentLog) }),
    ).rejects.toThrow(SIGNED);
  });

  it('gives neither the changed entry nor a proof of it, also if the change is far from the end', async () => {
    await using log = await newLog(300);
    const audit = log.auditOf(log.writer);
    await proves(audit, 7n);
    await log.scratch.sql(`update entries set leaf = leaf || '\\x20' where index = 7`);
    await expect(getEntry(audit, { index: 7n }, READER)).rejects.toMatchObject({ reason: 'DATA_CORRUPTED', code: 'DATA_LOSS' });
    await expect(getInclusionProof(audit, { index: 7n, ...NEWEST }, READER)).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
    await proves(audit, 8n);
    // With a hash that fits the bytes the entry is given out, but nothing proves it any more.
    await log.scratch.sql(`update entries set leaf_hash = sha256('\\x00'::bytea || leaf) where index = 7`);
    await expect(getInclusionProof(audit, { index: 7n, ...NEWEST }, READER)).rejects.toMatchObject({ reason: 'DATA_CORRUPTED' });
  });
});

describe('a database whose commits are no promise', () => {
  it('is not written to', async () => {
    await using log = await newLog();
    await log.scratch.sql(`alter database ${log.scratch.name} set synchronous_commit = off`);
    await expect(log.open()).rejects.toThrow('synchronous_commit = off');
  });
});
