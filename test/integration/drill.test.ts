// `make drill`, smaller: after real purges the store is restored alone and everything together, from real backups, before and
// after the end of the epoch, and what comes back is what docs/deletion.md says.
import { beforeAll, describe, expect, it } from 'vitest';
import { drill, type Report, type Result } from '../../src/dev/drill/drill.ts';
import { tell } from '../../src/dev/drill/report.ts';

let report: Report;
const said: string[] = [];
beforeAll(async () => {
  report = await drill((line) => void said.push(line), ['store', 'base', 'epoch-base']);
}, 240_000);

const resultOf = (id: string): Result => {
  const result = report.results.find(({ scenario }) => scenario.id === id);
  if (!result) throw new Error(`scenario ${id} was not run`);
  return result;
};
const sightingsOf = (kind: string, place: string, when: string): number => {
  const sighting = report.sightings.find((each) => each.place === place && each.when === when);
  if (!sighting) throw new Error(`nobody looked into ${place} ${when}`);
  return [...sighting.found].filter((needle) => needle.what === kind).length;
};

describe('after a purge', () => {
  it('nothing happens that is not documented', () => {
    expect(report.surprises).toEqual([]);
    expect(tell(report)).toContain('✓ everything is as docs/deletion.md says');
  });

  it('a backup of the store does not bring back a group or an instance, and the kept one is as it was', () => {
    const { items, refusals } = resultOf('store').observation;
    expect(items.group).toEqual({ read: 'NOT_FOUND', key: 'destroyed', rows: 0 });
    expect(items.instance).toEqual({ read: 'NOT_FOUND', key: 'destroyed', rows: 0 });
    expect(items.kept).toMatchObject({ read: 'READ', key: 'alive' });
    expect(refusals).toEqual([]);
  });

  it('a backup of the store brings back a secret, unless the key of its group was replaced after its purge', () => {
    const { items } = resultOf('store').observation;
    expect(items.secret).toMatchObject({ read: 'READ', key: 'alive' });
    expect(items.rekeyed).toMatchObject({ read: 'SCOPE_KEY_VERSION_DESTROYED', key: 'alive' });
  });

  it('what was on its way to be purged when a backup was made is purged again after its restore', () => {
    for (const id of ['store', 'base']) {
      expect(resultOf(id).observation.items.waiting, id).toEqual({ read: 'NOT_FOUND', key: 'destroyed', rows: 0 });
      expect(resultOf(id).observation.swept, id).toEqual([expect.stringContaining('/groups/waiting')]);
    }
  });

  it('a complete backup of all databases opens until the epoch ends, and nothing in it afterwards', () => {
    const [before, after] = [resultOf('base').observation, resultOf('epoch-base').observation];
    expect(before.items.group.read).toBe('READ');
    expect(before.trial.opened).toBe(before.trial.all);
    expect(after.trial).toEqual({ all: before.trial.all, opened: 0 });
    for (const id of ['group', 'instance', 'secret'] as const) expect(after.items[id].read, id).toBe('KEYS_UNAVAILABLE');
    expect(after.items.waiting.read).toBe('PURGE_STARTED');
    expect(after.refusals).toEqual([expect.stringContaining('keys did not start')]);
  });

  it('every receipt holds offline, and its entry is in the log unless the log itself was restored', () => {
    expect(said.filter((line) => line.includes('receipt verified offline'))).toHaveLength(5);
    expect(resultOf('store').observation.entriesThere).toBe(5);
    expect(resultOf('base').observation.entriesThere).toBe(0);
  });
});

describe('the bytes on disk', () => {
  it('hold no secret value anywhere, before and after, and the search can see', () => {
    expect(report.sightings.flatMap(({ found }) => [...found]).filter(({ what }) => what === 'secret values')).toEqual([]);
    expect(report.sighted).toEqual(expect.arrayContaining(['tables', 'WAL', 'base backup', 'dumps']));
  });

  it('of what was purged are in backups and WAL as they must be expected to be, and out of rewritten tables', () => {
    for (const kind of ['sealed payloads', 'wrapped data keys', 'wrapped scope keys', 'sealed root keys']) {
      const all = report.needles.filter((needle) => needle.what === kind).length;
      expect(all, kind).toBeGreaterThan(0);
      for (const place of ['tables', 'base backup', 'dumps'])
        expect(sightingsOf(kind, place, 'before the purge'), `${kind}, ${place}`).toBe(all);
      expect(sightingsOf(kind, 'tables', 'after VACUUM FULL'), kind).toBe(0);
    }
  });
});
