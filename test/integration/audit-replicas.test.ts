// Several processes of the audit log on one database: one writes, the others follow it, and take over when it is gone.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { rootFromInclusion, leafHash } from '../../src/audit/merkle.ts';
import { getEntry } from '../../src/audit/rpc/get-entry.ts';
import { getInclusionProof } from '../../src/audit/rpc/get-inclusion-proof.ts';
import { READER } from '../support/audit-reader.ts';
import { openCable } from '../support/cable.ts';
import { append, draft, drafts, forge, NEWEST, newLog, signer, soon, type ScratchLog } from './scratch-log.ts';

const STANDBY = { reason: 'AUDIT_STANDBY', code: 'UNAVAILABLE' };
/** As if the turn of who has it had run out: paused, or cut off from the database. */
const expire = ({ scratch }: ScratchLog) => scratch.sql(`update log_state set lease_expires = '-infinity'`);

describe('two processes on one log', () => {
  it('do not take the turn from each other: one writes, the other says that it does not', async () => {
    await using log = await newLog(3);
    const other = await log.open();
    for (let i = 0; i < 5; i++) {
      await expect(append(other)).rejects.toMatchObject(STANDBY);
      await append(log.writer);
      await sleep(300);
    }
    expect((await log.writer.current()).epoch).toBe(1n);
  });

  it('both answer readers, the one that does not write of what was written a moment ago', async () => {
    await using log = await newLog(300);
    const other = await log.open();
    for (const count of [0, 1, 1, 255, 256, 700, 0]) {
      if (count > 0) await log.writer.append(drafts(count), soon());
      const [here, there] = [await log.writer.current(), await other.current()];
      expect([there.tree, there.tails, there.checkpoint]).toEqual([here.tree, here.tails, here.checkpoint]);
    }
    const audit = log.auditOf(other);
    for (const index of [0n, 255n, 256n, 1_000n, 1_512n]) {
      const { hashes, checkpoint } = await getInclusionProof(audit, { index, ...NEWEST }, READER);
      const { leaf } = await getEntry(audit, { index }, READER);
      expect(rootFromInclusion(index, checkpoint!.treeSize, leafHash(leaf), hashes)).toEqual(checkpoint!.rootHash);
    }
  });

  it('change turns at once when the writer stops', async () => {
    await using log = await newLog(3);
    const other = await log.open();
    await log.writer[Symbol.asyncDispose]();
    expect(await append(other)).toBe(3n);
  });

  it('cannot both write, whatever each believes: the older one finds out, loses nothing, and the log has no gap and no fork', async () => {
    await using log = await newLog(3);
    await expire(log);
    const younger = await log.open();
    expect(await append(younger)).toBe(3n);
    const waiting = draft();
    await expect(append(log.writer, waiting)).rejects.toMatchObject(STANDBY);
    expect(await append(younger, waiting)).toBe(4n);
    expect((await log.writer.current()).tree.size).toBe(5n);
  });

  it('cannot go on after a restore that has brought epoch and size back with other entries', async () => {
    await using log = await newLog(3);
    await forge(log, 1, signer);
    await expect(append(log.writer)).rejects.toMatchObject(STANDBY);
    expect(await log.count('entries')).toBe(3);
  });

  it('race for a turn that is over, again and again: every event is in the log once, without a gap', async () => {
    await using log = await newLog();
    const writers = [log.writer, await log.open(), await log.open()];
    let going = true;
    const acknowledged: [string, bigint][] = [];
    const write = async (at: number): Promise<void> => {
      while (going) {
        const one = draft();
        for (let i = at; ; i++) {
          const index = await append(writers[i % 3]!, one).catch(() => undefined);
          if (index === undefined) continue;
          acknowledged.push([one.event.eventId, index]);
          break;
        }
      }
    };
    const work = Promise.all([0, 1, 2, 0, 1, 2].map(write));
    for (let i = 0; i < 40; i++) {
      await sleep(25);
      await expire(log);
    }
    going = false;
    await work;
    expect((await log.scratch.sql<{ writer_epoch: string }>('select writer_epoch from log_state'))[0]!.writer_epoch).not.toBe('1');
    const rows = await log.scratch.sql<{ index: string; event_id: string }>('select index, event_id from event_ids order by index');
    expect(rows.map(({ index }) => Number(index))).toEqual(rows.map((_, i) => i));
    expect(new Map(rows.map(({ index, event_id }) => [event_id, BigInt(index)]))).toEqual(new Map(acknowledged));
    await log.open();
  });
});

describe('a process that follows', () => {
  it.each([
    [
      'went back',
      'entries, and had',
      `delete from checkpoints where size > 290; update log_state set size = 290, frontier = (select string_agg(sha256(i::text::bytea), '' order by i) from generate_series(1, 3) i)`,
    ],
    ['has another root', 'another root', 'update log_state set frontier = set_byte(frontier, 5, (get_byte(frontier, 5) + 1) % 256)'],
    [
      'has grown by entries that the checkpoint is not over',
      'is not signed with this key',
      `create temp table copied as select * from entries where index = 299; update copied set index = 300; insert into entries select * from copied;
      insert into checkpoints select 301, root, note from checkpoints where size = 300; update log_state set size = 301`,
    ],
  ])('gives no checkpoint of a log that %s', async (_, check, change) => {
    await using log = await newLog(300);
    const other = await log.open();
    await other.current();
    await log.scratch.sql(change);
    const refused = await other.current().catch((error: unknown) => error);
    expect(refused).toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
    expect(String((refused as Error).cause)).toContain(check);
    // Nor does it take over.
    await log.writer[Symbol.asyncDispose]();
    await expect(append(other)).rejects.toMatchObject({ reason: 'AUDIT_UNAVAILABLE' });
  });

  it('reads the log anew when it has fallen far behind, and takes over from there', async () => {
    await using log = await newLog(10);
    await using cable = await openCable(log.scratch.config.port);
    const other = await log.open({ db: log.scratch.open({ port: cable.port }) });
    cable.cut();
    for (let i = 0; i < 17; i++) await log.writer.append(drafts(1_000), soon());
    cable.mend();
    cable.tear();
    const { tree, tails } = await log.writer.current();
    await vi.waitFor(async () => expect(await other.current()).toMatchObject({ tree, tails }), 5_000);
    await log.writer[Symbol.asyncDispose]();
    expect(await append(other)).toBe(17_010n);
  });
});
