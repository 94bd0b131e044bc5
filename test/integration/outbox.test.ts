// The outbox on a real PostgreSQL: an event is there if and only if its change is, and goes to the log once and in order.
import { v7 as uuidv7 } from 'uuid';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import type { Auditor } from '../../src/kernel/audit.ts';
import type { Db } from '../../src/kernel/db.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { enqueue, openRelay } from '../../src/kernel/outbox.ts';
import { scratchDatabase, silentLog, type Scratch } from './scratch.ts';

let scratch: Scratch;
let db: Db;
beforeAll(async () => {
  scratch = await scratchDatabase(inject('stack'));
  db = scratch.open({ poolSize: 6 });
  await scratch.sql(
    'create table outbox (id bigint generated always as identity primary key, event bytea not null, create_time timestamptz not null default now())',
  );
});
afterAll(() => scratch[Symbol.asyncDispose]());
beforeEach(() => scratch.sql('truncate outbox'));

const event = (resource: string): Event => Event.fromPartial({ eventId: uuidv7(), resource });
const write = (...resources: string[]) =>
  db.transaction(async (tx) => {
    for (const resource of resources) enqueue(tx, event(resource));
  });
const waiting = async () => (await scratch.sql('select id from outbox')).length;

/** An audit log that can be away, or slow. */
const logThat = () => {
  const taken: string[] = [];
  const log: Auditor & { taken: string[]; away: boolean; batches: number[] } = {
    taken,
    away: false,
    batches: [],
    append: async (events) => {
      if (log.away) throw new AppError('AUDIT_UNAVAILABLE', 'away');
      log.batches.push(events.length);
      taken.push(...events.map((one) => one.resource));
      return events.map((_, i) => BigInt(i));
    },
  };
  return log;
};
const names = (n: number) => Array.from({ length: n }, (_, i) => `r${i}`);

describe('the outbox', () => {
  it('has no event of a change that was not made', async () => {
    await expect(
      db.transaction(async (tx) => {
        enqueue(tx, event('r'));
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await waiting()).toBe(0);
  });

  it('is shipped in order, whole batches at a time, and empty afterwards', async () => {
    const log = logThat();
    await write(...names(600));
    await using _ = openRelay(db, log, silentLog);
    await vi.waitFor(async () => expect(await waiting()).toBe(0), 5_000);
    expect(log.taken).toEqual(names(600));
    expect(log.batches).toEqual([256, 256, 88]);
  });

  it('is shipped at the start of a program that was killed before it could', async () => {
    const log = logThat();
    await write('left behind');
    await using _ = openRelay(db, log, silentLog);
    await vi.waitFor(() => expect(log.taken).toEqual(['left behind']), 3_000);
  });

  it('keeps what the log does not take, tries again by itself, and loses nothing', async () => {
    const log = logThat();
    log.away = true;
    await using relay = openRelay(db, log, silentLog);
    await write('a', 'b');
    relay.kick();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect([log.taken, await waiting()]).toEqual([[], 2]);
    log.away = false;
    await vi.waitFor(async () => expect(await waiting()).toBe(0), 3_000);
    expect(log.taken).toEqual(['a', 'b']);
  });

  it('stops further changes once an event is older than five seconds, and lets them go on when it is shipped', async () => {
    const log = logThat();
    log.away = true;
    await using relay = openRelay(db, log, silentLog);
    relay.assertHealthy();
    await write('fresh');
    relay.kick();
    await vi.waitFor(() => expect(log.away).toBe(true));
    relay.assertHealthy();
    // As if it had been written six seconds ago.
    await scratch.sql(`update outbox set create_time = now() - interval '6 seconds'`);
    relay.kick();
    await vi.waitFor(() => expect(() => relay.assertHealthy()).toThrow(expect.objectContaining({ reason: 'AUDIT_UNAVAILABLE' })), 3_000);
    log.away = false;
    await vi.waitFor(() => relay.assertHealthy(), 3_000);
    expect(log.taken).toEqual(['fresh']);
  });

  it('tells when all that was written before is in the log, also of more than a batch', async () => {
    const log = logThat();
    await using relay = openRelay(db, log, silentLog);
    await write(...names(300));
    await relay.flush();
    expect(log.taken).toEqual(names(300));
    await Promise.all([write('a').then(() => relay.flush()), write('b').then(() => relay.flush())]);
    expect(log.taken.slice(300).sort()).toEqual(['a', 'b']);
    await relay.flush();
  });

  it('tells at once that the log does not take it, and loses nothing', async () => {
    const log = logThat();
    log.away = true;
    await using relay = openRelay(db, log, silentLog);
    await write('a');
    for (let i = 0; i < 3; i++) await expect(relay.flush()).rejects.toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
    log.away = false;
    await vi.waitFor(() => relay.flush(), 5_000);
    expect(log.taken).toEqual(['a']);
  });

  it('of several replicas goes out once, in order: they take turns', async () => {
    const log = logThat();
    await write(...names(500));
    await using one = openRelay(db, log, silentLog);
    await using two = openRelay(scratch.open(), log, silentLog);
    for (let i = 0; i < 5; i++) {
      one.kick();
      two.kick();
    }
    await vi.waitFor(async () => expect(await waiting()).toBe(0), 5_000);
    expect(log.taken).toEqual(names(500));
  });

  it('is not touched any more after its relay has been closed', async () => {
    const log = logThat();
    const relay = openRelay(db, log, silentLog);
    await relay[Symbol.asyncDispose]();
    await write('late');
    relay.kick();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([log.taken, await waiting()]).toEqual([[], 1]);
  });
});
