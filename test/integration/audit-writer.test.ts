// The one writer of the audit log on a real database: what is acknowledged stays, once, provable; what was changed behind
// its back is found.
import { join } from 'node:path';
import { v7 as uuidv7 } from 'uuid';
import { describe, expect, inject, it } from 'vitest';
import type { Audit } from '../../src/audit/audit.ts';
import { parseCheckpoint } from '../../src/audit/checkpoint.ts';
import { draftOf } from '../../src/audit/event.ts';
import { leafHash, rootFromInclusion } from '../../src/audit/merkle.ts';
import { openNote, openSigner } from '../../src/audit/note.ts';
import { openPublication } from '../../src/audit/publication.ts';
import { getEntry } from '../../src/audit/rpc/get-entry.ts';
import { getInclusionProof } from '../../src/audit/rpc/get-inclusion-proof.ts';
import { openWriter, type Writer } from '../../src/audit/writer.ts';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { parseSpiffeId } from '../../src/kernel/identity.ts';
import { pageTokens } from '../../src/kernel/page.ts';
import { ROOT } from '../../src/dev/stack.ts';
import { READER, WHOLE_LOG } from '../support/audit-reader.ts';
import { scratchDatabase, silentLog, type Scratch } from './scratch.ts';

const MIGRATIONS = join(ROOT, 'src/audit/migrations');
const source = parseSpiffeId('spiffe://strongroom.internal/service/store')!;
const signer = openSigner('test.example/log', Buffer.alloc(32, 3));
const NEWEST = { treeSize: 0n, cosigned: false };
const soon = () => Date.now() + 20_000;

const event = (change: Partial<Event> = {}): Event =>
  Event.fromPartial({
    eventId: uuidv7(),
    occurTime: new Date(),
    action: 'secrets.secret.read',
    principal: 'spiffe://strongroom.internal/app',
    resource: 'instances/i',
    outcome: 1,
    ...change,
  });
const draft = (change: Partial<Event> = {}) => draftOf(event(change), source);

const newLog = async (entries = 0) => {
  const scratch = await scratchDatabase(inject('stack'), MIGRATIONS);
  const db = scratch.open();
  const open = (): Promise<Writer> => openWriter(db, signer, silentLog);
  const writer = await open();
  await Promise.all(Array.from({ length: entries }, () => writer.append(draft(), soon())));
  const auditOf = (one: Writer): Audit => ({
    db,
    writer: one,
    verifier: signer.verifier,
    publication: openPublication(signer),
    pages: pageTokens(Buffer.alloc(32)),
    ...WHOLE_LOG,
  });
  return { scratch, db, open, writer, auditOf, [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose]() };
};
const count = async ({ scratch }: { scratch: Scratch }, table: 'entries' | 'checkpoints' | 'tiles'): Promise<number> =>
  Number((await scratch.sql<{ n: string }>(`select count(*)::text as n from ${table}`))[0]?.n);

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
    for (let i = 0n; i < 5n; i++) expect(await log.writer.append(draft(), soon())).toBe(i);
    expect(await count(log, 'entries')).toBe(5);
    for (let i = 0n; i < 5n; i++) await proves(log.auditOf(log.writer), i);
  });

  it('of the same event again has its first index: at once, later, together with new ones, and after a restart', async () => {
    await using log = await newLog();
    const one = draft();
    expect(await Promise.all([one, one, one].map((d) => log.writer.append(d, soon())))).toEqual([0n, 0n, 0n]);
    expect(await log.writer.append(one, soon())).toBe(0n);
    expect(await Promise.all([draft(), one, draft()].map((d) => log.writer.append(d, soon())))).toEqual([1n, 0n, 2n]);
    expect(await (await log.open()).append(one, soon())).toBe(0n);
    expect(await count(log, 'entries')).toBe(3);
  });

  it('of another event under a known id is refused, and its neighbours are not', async () => {
    await using log = await newLog();
    const eventId = uuidv7();
    expect(await log.writer.append(draft({ eventId }), soon())).toBe(0n);
    const outcomes = await Promise.allSettled(
      [draft(), draft({ eventId, resource: 'instances/other' }), draft()].map((d) => log.writer.append(d, soon())),
    );
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: 1n },
      { status: 'rejected', reason: { reason: 'EVENT_ID_REUSED', code: 'ALREADY_EXISTS', metadata: { eventId } } },
      { status: 'fulfilled', value: 2n },
    ]);
    // Both new and in one batch: the first is taken.
    const twice = uuidv7();
    const [first, second] = await Promise.allSettled(
      [draft({ eventId: twice }), draft({ eventId: twice, resource: 'instances/other' })].map((d) => log.writer.append(d, soon())),
    );
    expect([first?.status, second?.status]).toEqual(['fulfilled', 'rejected']);
  });

  it('under an id that another source has used is an event of its own', async () => {
    await using log = await newLog();
    const one = event();
    const keys = parseSpiffeId('spiffe://strongroom.internal/service/keys')!;
    expect(await log.writer.append(draftOf(one, source), soon())).toBe(0n);
    expect(await log.writer.append(draftOf(one, keys), soon())).toBe(1n);
  });

  it('shares its commit with all that wait beside it', async () => {
    await using log = await newLog();
    const indexes = await Promise.all(Array.from({ length: 600 }, () => log.writer.append(draft(), soon())));
    expect(indexes.toSorted((a, b) => Number(a - b))).toEqual(Array.from({ length: 600 }, (_, i) => BigInt(i)));
    expect(await count(log, 'checkpoints')).toBeLessThanOrEqual(3);
    expect(await count(log, 'tiles')).toBe(2);
    for (const index of [0n, 255n, 256n, 511n, 512n, 599n]) await proves(log.auditOf(log.writer), index);
  });

  it('keeps every character of a name, whatever it means to JSON or to PostgreSQL', async () => {
    await using log = await newLog();
    const resource = 'quote " backslash \\ \\u0000 \\x00 é 😀 \u2028 \' ; -- $1';
    const index = await log.writer.append(draft({ resource, attributes: new Map([['k', resource]]) }), soon());
    const entry = await getEntry(log.auditOf(log.writer), { index }, READER);
    expect([entry.event?.resource, entry.event?.attributes.get('k')]).toEqual([resource, resource]);
    expect(await log.scratch.sql('select resource from entries')).toEqual([{ resource }]);
  });
});

describe('a restart', () => {
  it.each([0, 1, 255, 256, 257])('of a log of %i entries goes on where it was, and proves old and new', async (size) => {
    await using log = await newLog(size);
    const before = await log.writer.current();
    const again = await log.open();
    const after = await again.current();
    expect([after.tree, after.checkpoint.root]).toEqual([before.tree, before.checkpoint.root]);
    expect(after.epoch).toBe(before.epoch + 1n);
    for (let i = 0; i < 3; i++) expect(await again.append(draft(), soon())).toBe(BigInt(size + i));
    for (const index of new Set([0, Math.max(size - 1, 0), size, size + 2])) await proves(log.auditOf(again), BigInt(index));
  });

  it('never lets the record time go back', async () => {
    await using log = await newLog(1);
    await log.scratch.sql(`update log_state set record_time = now() + interval '1 hour'`);
    await (await log.open()).append(draft(), soon());
    const [row] = await log.scratch.sql<{ ahead: boolean }>(
      `select record_time > now() + interval '59 minutes' as ahead from entries where index = 1`,
    );
    expect(row?.ahead).toBe(true);
  });
});

describe('two writers', () => {
  it('cannot both write: the older one is told, loses nothing, and the log has no gap and no fork', async () => {
    await using log = await newLog(3);
    const younger = await log.open();
    expect(await younger.append(draft(), soon())).toBe(3n);
    const waiting = draft();
    await expect(log.writer.append(waiting, soon())).rejects.toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
    // It has read the log again, and so the repeated event gets its place.
    expect(await log.writer.append(waiting, soon())).toBe(4n);
    expect(await count(log, 'entries')).toBe(5);
    for (let i = 0n; i < 5n; i++) await proves(log.auditOf(log.writer), i);
  });
});

describe('a log that was changed behind its back', () => {
  const CORRUPT = /does not fit together/;
  it.each([
    ['the newest entry has other bytes', `update entries set leaf = leaf || '\\x20' where index = 299`],
    [
      'the newest entry has other bytes and a hash that fits them',
      `update entries set leaf = leaf || '\\x20', leaf_hash = sha256('\\x00'::bytea || leaf || '\\x20'::bytea) where index = 299`,
    ],
    ['the newest entry is gone', 'delete from entries where index = 299'],
    [
      'two entries have changed places',
      `update entries a set leaf = b.leaf, leaf_hash = b.leaf_hash from entries b where a.index = 298 and b.index = 297`,
    ],
    ['a tile has another hash', `update tiles set hashes = set_byte(hashes, 100, (get_byte(hashes, 100) + 1) % 256)`],
    ['a tile is gone', 'delete from tiles'],
    ['the newest checkpoint is gone', 'delete from checkpoints where size = 300'],
    [
      'the newest checkpoint has another signature',
      `update checkpoints set note = overlay(note placing 'A' from length(note) - 20) where size = 300`,
    ],
    ['its state has another root', 'update log_state set frontier = set_byte(frontier, 5, (get_byte(frontier, 5) + 1) % 256)'],
    ['its state has another size', 'update log_state set size = 299'],
  ])('is not continued: %s', async (_, change) => {
    await using log = await newLog(300);
    await log.scratch.sql(change);
    await expect(log.open()).rejects.toThrow(CORRUPT);
  });

  it('is not continued under another signing key', async () => {
    await using log = await newLog(1);
    await expect(openWriter(log.db, openSigner('test.example/log', Buffer.alloc(32, 4)), silentLog)).rejects.toThrow(CORRUPT);
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
    await expect(openWriter(log.scratch.open(), signer, silentLog)).rejects.toThrow('synchronous_commit = off');
  });
});
