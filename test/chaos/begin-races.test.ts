// Undeletes and holds in the very moment in which a purge begins, by the hundred: each is granted, and then the thing is whole,
// or refused, and then it is gone. Longer: STRONGROOM_CRASH=all, a thousand rounds of each; or STRONGROOM_ROUNDS.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spiffeIdOf, type Stack } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Hold, Hold_Effect } from '../../src/gen/strongroom/secrets/v1/hold_service.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { startStack, withDatabase, type TestStack } from '../support/stack.ts';
import { bind, fresh, newTenant, text } from '../support/tenants.ts';

const isLong = process.env['STRONGROOM_CRASH'] === 'all';
const ROUNDS = Number(process.env['STRONGROOM_ROUNDS'] ?? (isLong ? 1_000 : 100));
const HOLD_ROUNDS = isLong ? ROUNDS : ROUNDS / 2;
const AT_ONCE = 50;
/** From the start of one wave of races to that of the next: the worker has to be able to follow. */
const WAVE_MS = 1_500;
const timeout = 90_000 + ROUNDS * 200;

let own: TestStack;
let stack: Stack;
let operator: Clients;
beforeAll(async () => {
  own = await startStack();
  ({ stack } = own);
  operator = clientsOf(stack, 'operator');
});
afterAll(async () => {
  operator[Symbol.dispose]();
  await own[Symbol.asyncDispose]();
});

/** A group with a secret, or only that. */
interface Thing {
  isGroup: boolean;
  name: string;
  uid: string;
  secret: string;
}

const each = async <T, R>(all: readonly T[], work: (one: T) => Promise<R>): Promise<R[]> => {
  const results: R[] = [];
  for (let i = 0; i < all.length; i += AT_ONCE) results.push(...(await Promise.all(all.slice(i, i + AT_ONCE).map(work))));
  return results;
};

/** Of one tenant; every fourth one is a group. */
const newThings = async (count: number): Promise<Thing[]> => {
  const tenant = await newTenant(operator, { retentionSeconds: 1 });
  await bind(operator, tenant.instance, spiffeIdOf('operator'), Role.SECRETS_READER);
  return each([...Array(count).keys()], async (i): Promise<Thing> => {
    const isGroup = i % 4 === 0;
    const group = isGroup && (await operator.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: `g-${i}`, ...fresh() }));
    const parent = group ? group.name : tenant.group;
    const secret = await operator.secrets.createSecret({ parent, secretId: `s-${i}`, payload: text('value'), ...fresh() });
    const { name, uid } = group || secret;
    return { isGroup, name, uid, secret: secret.name };
  });
};
const remove = ({ isGroup, name }: Thing) =>
  isGroup ? operator.groups.deleteSecretGroup({ name, ...fresh() }) : operator.secrets.deleteSecret({ name, ...fresh() });
const undelete = ({ isGroup, name }: Thing): Promise<unknown> =>
  isGroup ? operator.groups.undeleteSecretGroup({ name, ...fresh() }) : operator.secrets.undeleteSecret({ name, ...fresh() });
const hold = ({ name: parent }: Thing) =>
  operator.holds.createHold({
    parent,
    holdId: 'case',
    hold: Hold.fromPartial({ effect: Hold_Effect.PURGE, reason: 'a case in court' }),
    ...fresh(),
  });
const lift = ({ name }: Thing) => operator.holds.deleteHold({ name: `${name}/holds/case`, ...fresh() });
const read = async ({ secret }: Thing) => (await operator.access.accessSecretVersion({ name: `${secret}/versions/1` })).payload;

/** Deletes all of them, wave by wave, and makes the call for each within a second and a half of its time; answers which were granted. */
const race = async (
  things: readonly Thing[],
  call: (thing: Thing) => Promise<unknown>,
): Promise<{ granted: Thing[]; refused: Thing[] }> => {
  const [granted, refused]: Thing[][] = [[], []];
  const one = async (thing: Thing): Promise<void> => {
    const { purgeTime } = await remove(thing);
    await sleep((purgeTime?.getTime() ?? 0) - Date.now() - 100 + Math.random() * 1_400);
    const made = call(thing);
    const isGranted = await made.then(
      () => true,
      () => false,
    );
    (isGranted ? granted : refused)!.push(thing);
    if (!isGranted) expect(['PURGE_STARTED', 'NOT_FOUND']).toContain((await refusalOf(made)).reason);
  };
  const waves: Promise<unknown>[] = [];
  for (let i = 0; i < things.length; i += AT_ONCE) {
    waves.push(Promise.all(things.slice(i, i + AT_ONCE).map(one)));
    await sleep(WAVE_MS);
  }
  await Promise.all(waves);
  return { granted: granted!, refused: refused! };
};

/** Otherwise it was no race. */
const expectRace = ({ length: some }: readonly Thing[], { length: others }: readonly Thing[]): void => {
  expect(Math.min(some, others)).toBeGreaterThan((some + others) / 20);
};

interface Record {
  uid: string;
  state: string;
  held: boolean;
  counts: string;
}
const recordsOf = (things: readonly Thing[]): Promise<Record[]> =>
  withDatabase(stack, 'store', async (client) => {
    const statement = `select uid, state, held, concat_ws(' ', scope_keys_destroyed, versions_removed, secrets_removed, groups_removed) as counts
      from purges where uid = any($1)`;
    return (await client.query<Record>(statement, [things.map(({ uid }) => uid)])).rows;
  });
const expectPurged = async (things: readonly Thing[]): Promise<void> => {
  const left = async () => things.length - (await recordsOf(things)).filter(({ state }) => state === 'DONE').length;
  await expect.poll(left, { timeout: 30_000 + things.length * 50, interval: 200 }).toBe(0);
  const counts = new Map((await recordsOf(things)).map((record) => [record.uid, record.counts]));
  for (const { uid, name, isGroup } of things) expect(counts.get(uid), name).toBe(isGroup ? '1 1 1 1' : '0 1 1 0');
};

describe('in the moment in which the purge begins', () => {
  it(`an undelete leaves it whole or is refused, ${ROUNDS} times`, { timeout }, async () => {
    const { granted, refused } = await race(await newThings(ROUNDS), undelete);
    expectRace(granted, refused);
    await expectPurged(refused);
    expect(await recordsOf(granted)).toEqual([]);
    for (const value of await each(granted, read)) expect(value).toEqual(text('value'));
  });

  it(`a new hold keeps it whole or is refused, ${HOLD_ROUNDS} times`, { timeout }, async () => {
    const { granted, refused } = await race(await newThings(HOLD_ROUNDS), hold);
    expectRace(granted, refused);
    await expectPurged(refused);
    const held = async () => (await recordsOf(granted)).filter((record) => record.state === 'SCHEDULED' && record.held).length;
    await expect.poll(held, { timeout: 30_000, interval: 200 }).toBe(granted.length);
    await each(granted, undelete);
    for (const value of await each(granted, read)) expect(value).toEqual(text('value'));
  });

  it(`the end of a hold is noticed: the purge is never forgotten, ${HOLD_ROUNDS} times`, { timeout }, async () => {
    const things = await newThings(HOLD_ROUNDS);
    await each(things, hold);
    const { refused } = await race(things, lift);
    expect(refused).toEqual([]);
    await expectPurged(things);
  });
});
