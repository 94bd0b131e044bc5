// The drill: data is made and backed up, some of it is deleted and purged, then each backup is restored, alone and together,
// with today's keys, and what comes back is compared with what docs/deletion.md says. Nothing is simulated: the stack, the
// purge, the backups and the restores are real, in a folder that is gone at the end.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { find, type Needle } from '../hunt.ts';
import { startDatabase, startService } from '../parts.ts';
import { connect } from '../provision.ts';
import { verifyReceipt } from '../receipt.ts';
import { openScratch, type Scratch } from '../scratch.ts';
import type { Say, Stack } from '../stack.ts';
import { down, reset, stopPart } from '../up.ts';
import { restoreDataDirectory, takeBaseBackup } from './backup.ts';
import { openCallers, type Callers, type Proved } from './callers.ts';
import { DATABASES, restoreDump, takeDump } from './dump.ts';
import { endEpoch } from './epoch.ts';
import { ITEMS, makeItems, PURGED, type Item, type ItemId, type Made } from './items.ts';
import { logsOf, needlesOf, placesOf } from './needles.ts';
import { observe, type Observation } from './observe.ts';
import { dataPlaceOf, newRestored } from './restored.ts';
import { SCENARIOS, type Scenario } from './scenarios.ts';

export interface Result {
  scenario: Scenario;
  observation: Observation;
}

/** Which needles were where, when. */
export interface Sighting {
  place: string;
  when: string;
  found: ReadonlySet<Needle>;
}

export interface Report {
  results: Result[];
  needles: Needle[];
  sightings: Sighting[];
  /** Places in which the search found what is not encrypted: where it finds nothing it is not blind. */
  sighted: string[];
  /** What is not as it must be; empty if all is. */
  surprises: string[];
}

interface Backups {
  base: string;
  dumpOf: (database: string) => string;
}

const seconds = (since: number): string => `${((performance.now() - since) / 1000).toFixed(1)} s`;

const takeBackups = async (stack: Stack, folder: string, say: Say): Promise<Backups> => {
  const backups: Backups = { base: join(folder, 'base'), dumpOf: (database) => join(folder, `${database}.sql`) };
  mkdirSync(folder);
  const start = performance.now();
  const files = await takeBaseBackup(stack, backups.base);
  say(`✓ base backup, while everything runs, with ${files} files of WAL (${seconds(start)})`);
  for (const database of DATABASES) await takeDump(stack, database, backups.dumpOf(database));
  say(`✓ SQL dumps of ${DATABASES.join(', ')}`);
  return backups;
};

const checkpoint = async (stack: Stack, before?: string): Promise<void> => {
  for (const database of DATABASES) {
    const client = await connect(stack, database, 'superuser');
    try {
      if (before !== undefined) await client.query(before);
      await client.query('checkpoint');
    } finally {
      await client.end();
    }
  }
};

const foundIn = (paths: readonly string[], needles: readonly Needle[]): ReadonlySet<Needle> =>
  new Set(find(paths, needles).map(({ needle }) => needle));

const look = (stack: Stack, when: string, needles: readonly Needle[]): Sighting[] => {
  const places = { ...placesOf(dataPlaceOf(stack).data), logs: logsOf(stack) };
  return Object.entries(places).map(([place, paths]) => ({ place, when, found: foundIn(paths, needles) }));
};

const purgeAll = async (callers: Callers, items: Made['items'], say: Say): Promise<Proved[]> => {
  await callers.deleteGroup(items.group.resource.name);
  await callers.deleteInstance(items.instance.resource.name);
  await callers.deleteSecret(items.secret.resource.name);
  await callers.deleteSecret(items.rekeyed.resource.name);
  say('✓ a group, an instance and two secrets deleted; the worker is started');
  return Promise.all(PURGED.map((id) => callers.purged(items[id].resource.uid)));
};

const tellPurges = (proofs: readonly Proved[], say: Say): void => {
  for (const { purge, leaf, verifierKey } of proofs) {
    const { index, size } = verifyReceipt(purge.receipt, leaf, verifierKey);
    const took = (purge.keysDestroyedTime?.getTime() ?? 0) - (purge.startTime?.getTime() ?? 0);
    say(
      `    ${purge.resource}: unreadable ${took} ms after the start; ${purge.scopeKeysDestroyedCount} keys, ${purge.versionsRemovedCount} versions; ` +
        `receipt verified offline: entry ${index} of ${size}`,
    );
  }
};

const restore = async (scratch: Scratch, today: string, backups: Backups, scenario: Scenario): Promise<Stack> => {
  const stack = newRestored(scratch, scenario.id);
  restoreDataDirectory(scenario.source === 'base backup' ? backups.base : today, stack);
  await startDatabase(stack);
  if (scenario.source === 'dumps') for (const database of scenario.restored) await restoreDump(stack, database, backups.dumpOf(database));
  return stack;
};

const compare = ({ scenario, observation }: Result): string[] => {
  const surprises: string[] = [];
  for (const [id, [read, key]] of Object.entries(scenario.expected) as [ItemId, Scenario['expected'][ItemId]][]) {
    const got = observation.items[id];
    if (got.read !== read || got.key !== key)
      surprises.push(`${scenario.title}: ${ITEMS[id]}: reads answer ${got.read}, its key is ${got.key}; it should be ${read}, ${key}`);
  }
  const unexpected = observation.refusals.filter((refusal) => !scenario.refusals.some((part) => refusal.includes(part)));
  const missing = scenario.refusals.filter((part) => !observation.refusals.some((refusal) => refusal.includes(part)));
  surprises.push(...unexpected.map((refusal) => `${scenario.title}: ${refusal}`));
  surprises.push(...missing.map((part) => `${scenario.title}: nothing refused to start with "${part}"`));
  const { all, opened } = observation.trial;
  const isShut = scenario.isEpochOver && scenario.source !== 'nothing';
  if (all === 0 || opened !== (isShut ? 0 : all))
    surprises.push(`${scenario.title}: of ${all} wrapped scope keys ${opened} open with today's folder of master keys`);
  return surprises;
};

/** Runs the scenarios of these ids, or all. */
export const drill = async (say: Say, ids?: readonly string[]): Promise<Report> => {
  const begun = performance.now();
  await using scratch = await openScratch('drill');
  const { live, folder } = scratch;
  say(`✓ a stack of its own in ${folder} (${seconds(begun)})`);

  const { made, backups, proofs, needles, sightings, sighted } = await (async () => {
    await using callers = openCallers(live);
    await callers.bindApp();
    const { makeYoung, ...old } = await makeItems(callers);
    say('✓ 3 instances, 6 groups, their secrets with two versions each');
    // So that the backup has a delete whose purge has not run yet.
    await stopPart(live, 'worker');
    await callers.deleteGroup(old.items.waiting.resource.name);
    const taken = await takeBackups(live, join(folder, 'backups'), say);
    const wanted = await needlesOf(live, old);
    await checkpoint(live);
    const blind: Needle[] = [{ what: 'note', forms: [Buffer.from(old.note)] }];
    const before = look(live, 'before the purge', wanted);
    const plain = look(live, '', blind).filter(({ found }) => found.size > 0);
    for (const [place, paths] of [
      ['base backup', [taken.base]],
      ['dumps', DATABASES.map(taken.dumpOf)],
    ] as const) {
      before.push({ place, when: 'before the purge', found: foundIn(paths, wanted) });
      if (find(paths, blind).length > 0) plain.push({ place, when: '', found: new Set(blind) });
    }

    const items = { ...old.items, young: await makeYoung() } satisfies Record<ItemId, Item>;
    await startService(live, 'worker');
    const ended = await purgeAll(callers, items, say);
    say('✓ all purges are done:');
    tellPurges(ended, say);
    await callers.rotateGroupKey(items.rekeyed.group.name);
    say('✓ the key of the group around one of the secrets is replaced, and its old version destroyed');
    return {
      made: { ...old, items },
      backups: taken,
      proofs: ended,
      needles: wanted,
      sightings: before,
      sighted: plain.map(({ place }) => place),
    };
  })();

  await checkpoint(live);
  sightings.push(...look(live, 'after the purge', needles));
  await checkpoint(live, 'vacuum');
  sightings.push(...look(live, 'after VACUUM', needles));
  await checkpoint(live, 'vacuum full');
  sightings.push(...look(live, 'after VACUUM FULL', needles));
  say('✓ files searched for secret values, and for the bytes that protected them');
  await down(live);
  const today = dataPlaceOf(live).data;

  const results: Result[] = [];
  let isEpochOver = false;
  for (const scenario of SCENARIOS.filter(({ id }) => ids?.includes(id) ?? true)) {
    const start = performance.now();
    if (scenario.isEpochOver && !isEpochOver) {
      await endEpoch(live);
      say(`✓ the epoch is over: the master key of the backup is destroyed (${seconds(start)})`);
    }
    isEpochOver = scenario.isEpochOver;
    const stack = await restore(scratch, today, backups, scenario);
    const observation = await observe(stack, made.items, proofs);
    await reset(stack);
    results.push({ scenario, observation });
    say(`✓ restored and looked at: ${scenario.title} (${seconds(start)})`);
  }

  const leaks = sightings.filter(({ found }) => [...found].some(({ what }) => what === 'secret values'));
  const surprises = [
    ...results.flatMap(compare),
    ...leaks.map(({ place, when }) => `a secret value stands in clear in: ${place}, ${when}`),
  ];
  for (const place of ['tables', 'WAL', 'base backup', 'dumps'])
    if (!sighted.includes(place)) surprises.push(`the search is blind in: ${place}`);
  say(`✓ drill done (${seconds(begun)})`);
  return { results, needles, sightings, sighted, surprises };
};
