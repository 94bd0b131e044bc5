// Crash points of a purge, every one of them: at each durable step of the purge of a group, an instance and a secret a process
// is killed (kill -9) right before the step is committed and right after, and started again. The ordinary run kills the
// worker at every point, and at every step one of the others in turn. Longer: STRONGROOM_CRASH=all kills every process at every
// point (some 5 minutes); STRONGROOM_CRASH_SECONDS=600 kills any process at any time for so long.
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SecretGroup_State } from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import type { Part } from '../../src/dev/stack.ts';
import { refusalOf } from '../support/clients.ts';
import { fresh, newTenant } from '../support/tenants.ts';
import { jobsOf } from '../worker/purges.ts';
import { openScene, type Scene } from './purge-scene.ts';
import { DELETE, MOMENTS, mostAt, STEPS, type Moment } from './steps.ts';

const EVERYTHING = process.env['STRONGROOM_CRASH'] === 'all';
const RANDOM_SECONDS = Number(process.env['STRONGROOM_CRASH_SECONDS'] ?? 0);
const OTHERS = ['keys', 'audit', 'postgres', 'store'] as const satisfies readonly Part[];

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene[Symbol.asyncDispose]());

/** Stops all three purges at each step, before and after, and kills there whom `victimsAt` names. */
const purgeThrough = async (victimsAt: (step: number, moment: Moment) => readonly Part[]): Promise<void> => {
  const { gates } = scene;
  await gates.shutAll();
  const three = await scene.newDoomed();
  const kinds = three.all.map(({ kind }) => kind);
  for (const [at, step] of STEPS.entries()) {
    for (const moment of MOMENTS) {
      const victims = victimsAt(at, moment);
      if (moment === 'after') {
        if (victims.length > 0) await gates.shut(step, 'after');
        await gates.open(step, 'before');
      }
      for (const victim of victims) {
        await gates.wait([{ step, moment, wanted: mostAt(step, moment, kinds) }], () => scene.hurry(three.all));
        const back = scene.kill(victim);
        // Before it serves, the key service asks the log, which stands still here.
        if (victim === 'keys' && step.database === 'audit') back.catch(() => undefined);
        else await back;
        for (const doomed of three.all) await scene.expectOrder(doomed, `${victim} killed ${moment} "${step.id}"`);
      }
      if (moment === 'after') await gates.open(step, 'after');
    }
  }
  await gates.openAll();
  await scene.ready();
  await scene.expectPurged(three);
};

describe('the purges of an instance, a group and a secret end, with exact counts and one receipt each,', () => {
  it('when the worker is killed before and after every step', { timeout: 240_000 }, () => purgeThrough(() => ['worker']));

  it.runIf(!EVERYTHING)('when at every step one of the other processes is killed', { timeout: 240_000 }, () =>
    purgeThrough((at, moment) => {
      const { database } = STEPS[at]!;
      // The one whose step it is before and after; in the store's steps, which are the worker's, all in turn.
      if (database !== 'store') return [database];
      return moment === 'after' ? [OTHERS[at % OTHERS.length]!] : [];
    }),
  );

  it.runIf(EVERYTHING).each(OTHERS)('when %s is killed before and after every step', { timeout: 600_000 }, (victim) =>
    purgeThrough(() => [victim]),
  );

  it.runIf(RANDOM_SECONDS > 0)('when any process is killed at any time', { timeout: (RANDOM_SECONDS + 240) * 1_000 }, async () => {
    for (const until = Date.now() + RANDOM_SECONDS * 1_000; Date.now() < until;) {
      const three = await scene.newDoomed();
      for (let kills = randomInt(1, 12); kills > 0; kills--) {
        await sleep(randomInt(1_500));
        await scene.kill((['worker', ...OTHERS] as const)[randomInt(OTHERS.length + 1)]!);
        for (const doomed of three.all) await scene.expectOrder(doomed, 'at random');
        await scene.hurry(three.all);
      }
      await scene.expectPurged(three);
    }
  });
});

describe('a delete', () => {
  it.each((['store', 'postgres'] as const).flatMap((victim) => MOMENTS.map((moment) => [victim, moment] as const)))(
    'whose %s is killed right %s its commit is there with its purge and its job, or not at all, and can be repeated',
    async (victim, moment) => {
      const { gates, operator, stack } = scene;
      const { group, groupUid } = await newTenant(operator);
      const request = { name: group, ...fresh() };
      await gates.shut(DELETE, moment);
      const refused = refusalOf(operator.groups.deleteSecretGroup(request));
      await gates.wait([{ step: DELETE, moment, wanted: 1 }]);
      await scene.kill(victim);
      await gates.open(DELETE, moment);
      expect((await refused).code).toBe('UNAVAILABLE');

      const happened = moment === 'after';
      const purges = () => gates.sql('store', 'select state from purges where uid = $1', [groupUid]);
      expect(await purges()).toEqual(happened ? [{ state: 'SCHEDULED' }] : []);
      expect(await jobsOf(stack, groupUid)).toBe(happened ? 1 : 0);
      await expect
        .poll(() => operator.groups.deleteSecretGroup(request).catch(() => undefined), { timeout: 15_000 })
        .toMatchObject({
          state: SecretGroup_State.DELETED,
        });
      expect(await purges()).toEqual([{ state: 'SCHEDULED' }]);
      expect(await jobsOf(stack, groupUid)).toBe(1);
    },
  );
});
