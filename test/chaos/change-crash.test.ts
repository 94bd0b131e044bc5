// Crash points beside those of a purge: of the changes that race with its begin (undelete, restore, holds, early purge), of the
// worker that finds a hold, and of a purge epoch. At each durable step a process is killed (kill -9) right before the step is
// committed and right after. The ordinary run kills the process whose step it is; STRONGROOM_CRASH=all every process in turn.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tryMasterKeys } from '../../src/dev/drill/trial.ts';
import { PARTS, type Part } from '../../src/dev/stack.ts';
import { Purge_State } from '../../src/gen/strongroom/secrets/v1/purge_service.ts';
import { fresh } from '../support/tenants.ts';
import { jobsOf, reaches } from '../worker/purges.ts';
import { ALL_CHANGES, expectFate, newTarget, type Change, type Target } from './changes.ts';
import { openScene, type Scene } from './purge-scene.ts';
import { CHANGES, EPOCH, HELD, MOMENTS, type Moment, type Step } from './steps.ts';

const EVERYTHING = process.env['STRONGROOM_CRASH'] === 'all';
const victims = (ordinary: Part): readonly Part[] => (EVERYTHING ? PARTS : [ordinary]);

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

const nothing = async (): Promise<void> => undefined;
const granted = (call: Promise<unknown>): Promise<boolean> =>
  call.then(
    () => true,
    () => false,
  );
/** How many of the worker's transactions wait for a row that a change has. */
const blocked = async (): Promise<number> => {
  const text = `select count(*)::int as count from pg_stat_activity where usename = 'worker' and wait_event_type = 'Lock'`;
  return (await scene.gates.sql<{ count: number }>('postgres', text))[0]?.count ?? 0;
};

const STORES: readonly Part[] = ['store', 'postgres'];
/** Of commits that wake the worker only one at a time can be at its end. */
const batchesAt = (moment: Moment, all: readonly Racing[]): readonly (readonly Racing[])[] =>
  moment === 'before' ? [all] : all.map((each) => [each]);

interface Racing {
  change: Change;
  target: Target;
  request: { requestId: string };
}

describe('a change in the moment in which the purge would begin', () => {
  const cases = MOMENTS.flatMap((moment) => victims('store').map((victim) => [victim, moment] as const));

  it.each(cases)('while %s is killed right %s its commit has happened, or the purge ends', { timeout: 120_000 }, async (victim, moment) => {
    const { gates, operator, stack } = scene;
    await scene.end('worker');
    const all = await Promise.all(
      ALL_CHANGES.map(async (change) => ({ change, target: await newTarget(operator, stack, change), request: fresh() })),
    );
    await sleep(1_100);
    const happened = moment === 'after' || !STORES.includes(victim);
    for (const batch of batchesAt(moment, all)) {
      const steps = [...new Set(batch.map(({ change }) => change.step))];
      for (const step of steps) await gates.shut(step, moment);
      const calls = batch.map(({ change, target, request }) => granted(change.call(operator, target, request)));
      await gates.wait(steps.map((step) => ({ step, moment, wanted: batch.filter(({ change }) => change.step === step).length })));
      if (moment === 'before') {
        await scene.start('worker');
        await expect.poll(blocked, { timeout: 10_000, interval: 20 }).toBeGreaterThan(0);
      }
      await scene.kill(victim);
      await gates.openAll();
      await scene.ready();
      expect(await Promise.all(calls)).toEqual(calls.map(() => !STORES.includes(victim)));
    }
    if (moment === 'after' && victim !== 'worker') await scene.start('worker');

    for (const { change, target } of all)
      await expectFate(operator, stack, change, target, happened ? change.fate.happened : change.fate.not);
    for (const { change, target, request } of all) {
      const repeated = await granted(change.call(operator, target, request));
      expect(repeated, `${change.what}, asked for again`).toBe(happened || change.fate.not === 'waiting');
      if (!happened && repeated) await expectFate(operator, stack, change, target, change.fate.happened);
    }
    await scene.expectUntouched();
  });
});

describe('a worker that finds a hold', () => {
  it.each(victims('worker'))(
    'leaves it held, whole and without a job when %s is killed before and after, and it is purged when the hold goes',
    { timeout: 120_000 },
    async (victim) => {
      const { gates, operator, stack } = scene;
      const change = ALL_CHANGES.find(({ step }) => step === CHANGES.deleteHold)!;
      await gates.shut(HELD, 'before');
      const target = await newTarget(operator, stack, change);
      const hurry = () => scene.hurry([target]);
      for (const moment of MOMENTS) {
        await gates.wait([{ step: HELD, moment, wanted: 1 }], hurry);
        await scene.kill(victim);
        if (moment === 'before') await gates.shut(HELD, 'after');
        await gates.open(HELD, moment);
      }
      await gates.openAll();
      await scene.ready();
      await expect.poll(() => jobsOf(stack, target.uid), { timeout: 15_000 }).toBe(0);
      await expectFate(operator, stack, change, target, 'waiting');
      await change.call(operator, target, fresh());
      await reaches(operator, target.uid, Purge_State.DONE);
      await expectFate(operator, stack, change, target, 'purged');
      await scene.expectUntouched();
    },
  );
});

/** The time for which an old master key is kept has passed. */
const AGE = `update master_keys set empty_time = now() - interval '30 days' where id in (
  select id from master_keys where state = 'PREVIOUS' and empty_time > now() - interval '1 day' for update skip locked)`;

describe('a rotation of the master key', () => {
  it.each(victims('keys'))(
    'ends, with every scope key open at every moment, when %s is killed before and after every step',
    { timeout: 240_000 },
    async (victim) => {
      const { gates, operator, stack } = scene;
      const currentId = (await operator.keys.getMasterKeyStatus({})).current!.id;
      const rotate = () => granted(operator.keys.rotateMasterKey({ currentId }, { timeoutMs: 1_000 }));
      let asked = 0;
      /** Whoever asked for it asks again, as the call that a killed process has not answered. */
      const insist = async (): Promise<void> => {
        if (performance.now() - asked < 1_500) return;
        asked = performance.now();
        await gates.sql('keys', AGE);
        void rotate();
      };
      const killAt = async (step: Step, moment: Moment, then: () => Promise<void>): Promise<void> => {
        await gates.wait([{ step, moment, wanted: 1 }], insist);
        await scene.end(victim);
        // The gates themselves are in the database.
        if (victim === 'postgres') await scene.start(victim);
        await then();
        const { all, opened } = await tryMasterKeys(stack);
        expect(all).toBeGreaterThan(0);
        expect(opened, `${victim} killed ${moment} "${step.id}"`).toBe(all);
        // Not awaited to its end: it stops at the next gate, perhaps before it serves.
        if (victim !== 'postgres') void scene.start(victim).catch(nothing);
        asked = 0;
      };

      for (const step of EPOCH) await gates.shut(step, 'before');
      for (const step of EPOCH) {
        await killAt(step, 'before', async () => {
          await gates.shut(step, 'after');
          await gates.open(step, 'before');
        });
        await killAt(step, 'after', () => gates.open(step, 'after'));
      }
      await gates.openAll();
      const folder = () => readdirSync(join(stack.state, 'master-keys'));
      await expect.poll(rotate, { timeout: 30_000, interval: 500 }).toBe(true);
      await scene.ready();
      const { current, previous, unknownIds } = await operator.keys.getMasterKeyStatus({});
      expect([previous, unknownIds, folder()]).toEqual([[], [], [`${current!.id}.key`]]);
      expect(current!.id).not.toBe(currentId);
      expect(current!.rootKeyVersionCount).toBeGreaterThan(0n);
      await scene.expectUntouched();
    },
  );
});
