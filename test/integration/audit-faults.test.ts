// The writer of the audit log when something goes wrong around it: whatever became of a commit, what was acknowledged is there,
// what is asked for again is there once, and nobody waits longer than he said.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { appendEvents } from '../../src/audit/rpc/append-events.ts';
import type { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import type { Log } from '../../src/kernel/log.ts';
import type { Call } from '../../src/kernel/table.ts';
import { openCable } from '../support/cable.ts';
import { append, draft, drafts, event, newLog, soon, source, type ScratchLog } from './scratch-log.ts';
import { silentLog } from './scratch.ts';

/** A log whose writer is at the other end of a cable. */
const newCabledLog = async () => {
  const log = await newLog();
  await log.writer[Symbol.asyncDispose]();
  const cable = await openCable(log.scratch.config.port);
  const writer = await log.open({ db: log.scratch.open({ port: cable.port }) });
  return {
    log,
    cable,
    writer,
    [Symbol.asyncDispose]: async () => {
      await log[Symbol.asyncDispose]();
      await cable[Symbol.asyncDispose]();
    },
  };
};
const sizeOf = async ({ scratch }: ScratchLog): Promise<number> =>
  (await scratch.sql<{ size: number }>('select size::int from log_state'))[0]!.size;
const UNAVAILABLE = { reason: 'AUDIT_UNAVAILABLE', code: 'UNAVAILABLE' };
/** While it lasts, no batch gets on: somebody has the state row. */
const holdState = async ({ scratch }: ScratchLog): Promise<() => Promise<unknown>> => {
  await scratch.sql('begin');
  await scratch.sql('select 1 from log_state for update');
  return () => scratch.sql('commit');
};

describe('a connection that is lost', () => {
  it('before the batch arrives: nothing was written, and sent again it is written once', async () => {
    await using world = await newCabledLog();
    const { log, cable, writer } = world;
    expect(await append(writer)).toBe(0n);
    const one = draft();
    cable.cut();
    const lost = append(writer, one);
    await sleep(50);
    cable.tear();
    await expect(lost).rejects.toMatchObject(UNAVAILABLE);
    cable.mend();
    expect(await sizeOf(log)).toBe(1);
    expect([await append(writer, one), await append(writer)]).toEqual([1n, 2n]);
  });

  it('after the commit, before its answer: nothing is acknowledged, and sent again it has the index that it got', async () => {
    await using world = await newCabledLog();
    const { log, cable, writer } = world;
    for (let index = 0; index < 20; index += 2) {
      const one = draft();
      cable.deafen();
      const lost = append(writer, one);
      await vi.waitFor(async () => expect(await sizeOf(log)).toBe(index + 1), { interval: 5 });
      cable.tear();
      await expect(lost).rejects.toMatchObject(UNAVAILABLE);
      cable.mend();
      expect(await append(writer, one)).toBe(BigInt(index));
      expect(await append(writer)).toBe(BigInt(index + 1));
    }
    expect(await log.count('entries')).toBe(20);
  });

  it('while PostgreSQL is at it: it commits all the same, the writer waits for that, and goes on behind it', async () => {
    await using world = await newCabledLog();
    const { log, cable, writer } = world;
    const release = await holdState(log);
    const one = draft();
    const lost = append(writer, one);
    await sleep(100);
    cable.tear();
    await expect(lost).rejects.toMatchObject(UNAVAILABLE);
    const [again, next] = [append(writer, one), append(writer)];
    await sleep(100);
    await release();
    expect(await Promise.all([again, next])).toEqual([0n, 1n]);
    expect(await log.count('entries')).toBe(2);
  });

  it('without a word, as by a network: callers are told in their time, and it works again when the network does', async () => {
    await using world = await newCabledLog();
    const { cable, writer } = world;
    cable.cut();
    const begun = performance.now();
    await expect(append(writer, draft(), Date.now() + 1_500)).rejects.toMatchObject(UNAVAILABLE);
    expect(performance.now() - begun).toBeLessThan(1_500);
    cable.mend();
    cable.tear();
    await vi.waitFor(() => append(writer), { timeout: 10_000 });
  });
});

describe('an answer with a warning', () => {
  it('is no acknowledgement: so PostgreSQL says that a standby it was to wait for has not got the commit', async () => {
    await using log = await newLog();
    await log.scratch
      .sql(`create function warn() returns trigger language plpgsql as $$ begin raise warning 'not there'; return new; end $$;
      create trigger warn after insert on checkpoints execute function warn()`);
    const one = draft();
    await expect(append(log.writer, one)).rejects.toMatchObject(UNAVAILABLE);
    await log.scratch.sql('drop trigger warn on checkpoints');
    expect([await append(log.writer, one), await append(log.writer)]).toEqual([0n, 1n]);
  });
});

describe('an event that is there already', () => {
  it('is acknowledged only behind a commit that came after it was asked for: its own was perhaps never answered', async () => {
    await using log = await newLog();
    const one = draft();
    expect(await append(log.writer, one)).toBe(0n);
    const commits = new Set<string>();
    for (let i = 0; i < 10; i++) {
      expect(await append(log.writer, one)).toBe(0n);
      const [row] = await log.scratch.sql<{ by: string }>('select xmin::text as by from log_state');
      commits.add(row!.by);
    }
    expect(commits.size).toBe(10);
  });
});

describe('more than can be taken', () => {
  it('is refused at once when the queue is full, with the time to come back, and all that was taken gets in', async () => {
    await using log = await newLog();
    const release = await holdState(log);
    // One batch is under way, and sixteen thousand wait.
    const first = log.writer.append(drafts(1_000), soon());
    await sleep(50);
    const waiting = Array.from({ length: 16 }, () => log.writer.append(drafts(1_000), soon()));
    const begun = performance.now();
    const refused = await log.writer.append(drafts(1_000), soon()).catch((error: unknown) => error);
    expect(performance.now() - begun).toBeLessThan(250);
    expect(refused).toMatchObject({ reason: 'TOO_MANY_REQUESTS', code: 'RESOURCE_EXHAUSTED', retryAfterMs: expect.any(Number) as number });
    await release();
    const results = (await Promise.all([first, ...waiting])).flat();
    expect(results).toEqual(Array.from({ length: 17_000 }, (_, i) => BigInt(i)));
  });

  it('is the same event a hundred times at once, in requests and within them: one entry, one index', async () => {
    await using log = await newLog(3);
    const one = draft();
    const storm = await Promise.all([
      ...Array.from({ length: 50 }, () => log.writer.append([one], soon())),
      log.writer.append(
        Array.from({ length: 50 }, () => one),
        soon(),
      ),
    ]);
    expect(new Set(storm.flat())).toEqual(new Set([3n]));
    expect(await log.count('entries')).toBe(4);
  });
});

describe('bad events among good ones', () => {
  it('are refused each for itself, with the field, and the others are in the log in their order', async () => {
    await using log = await newLog();
    const known = event();
    const call = { principal: source, deadline: soon() } as Call;
    const send = (...events: Event[]) => appendEvents(log.auditOf(log.writer), { events }, call);
    await send(known);
    const { results } = await send(
      event(),
      event({ action: 'Nonsense' }),
      event({ resource: 'a\u0000b' }),
      event({ attributes: new Map([['large', 'x'.repeat(2_049)]]) }),
      { ...known, resource: 'instances/other' },
      known,
      event(),
    );
    const told = results.map(({ outcome }) =>
      outcome?.$case === 'index' ? outcome.value : `${outcome?.value.reason} ${outcome?.value.message.split(':')[0]}`,
    );
    expect(told).toEqual([
      1n,
      'INVALID_FIELD event.action',
      'INVALID_FIELD event.resource',
      'INVALID_FIELD event.attributes',
      `EVENT_ID_REUSED event ${known.eventId} is in the log with other content`,
      0n,
      2n,
    ]);
  });
});

describe('a clock that is wrong', () => {
  afterEach(() => void vi.useRealTimers());

  it.each([
    ['back', -3_600_000],
    ['forward', 3_600_000],
  ])('an hour %s: record times never go back, and the log says so', async (_, by) => {
    await using log = await newLog(2);
    const warnings: string[] = [];
    const warning: Log = { ...silentLog, warn: (_fields, message) => void warnings.push(message) };
    await log.writer[Symbol.asyncDispose]();
    const writer = await log.open({ log: warning });
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + by });
    expect(await append(writer)).toBe(2n);
    await vi.waitFor(() => expect(warnings.join()).toContain('clock of this machine is wrong'), 3_000);
    vi.useRealTimers();
    expect(await append(writer)).toBe(3n);
    const rows = await log.scratch.sql<{ record_time: Date }>('select record_time from entries order by index');
    const times = rows.map((row) => row.record_time.getTime());
    expect(times).toEqual(times.toSorted((a, b) => a - b));
  });
});
