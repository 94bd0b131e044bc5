// The key of a group is replaced while processes are killed: it is replaced all the same, once, and nothing is lost. And it is
// replaced by itself, when something was purged. STRONGROOM_CRASH=all: at more moments.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { spiffeIdOf, type Service, type Stack } from '../../src/dev/stack.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import {
  SecretGroupKeyRotation_State as State,
  type SecretGroupKeyRotation,
} from '../../src/gen/strongroom/secrets/v1/secret_group_service.ts';
import { clientsOf, type Clients } from '../support/clients.ts';
import { rotationOf, wrapsOf } from '../support/rekeys.ts';
import { startReplica } from '../support/replica.ts';
import { slowDown } from '../support/slow-rekeys.ts';
import { end, restart, startStack, type TestStack } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

const SECRETS = 40;
const VERSIONS = 30;

let own: TestStack;
let stack: Stack;
let [operator, app, store]: Clients[] = [];
beforeAll(async () => {
  own = await startStack();
  ({ stack } = own);
  [operator, app, store] = (['operator', 'app', 'store'] as const).map((name) => clientsOf(stack, name));
});
afterAll(async () => {
  for (const clients of [operator, app, store]) clients?.[Symbol.dispose]();
  await own[Symbol.asyncDispose]();
});

const newGroup = async (): Promise<Tenant> => {
  const tenant = await newTenant(operator!);
  await bind(operator!, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  return tenant;
};
const write = (parent: string, value: string) =>
  app!.secrets.createSecret({ parent, secretId: newId('s'), payload: text(value), ...fresh() });
const read = async (secret: string, version: number) =>
  (await app!.access.accessSecretVersion({ name: `${secret}/versions/${version}` })).payload?.value?.value;
const livingOf = async ({ groupUid }: Tenant) => (await store!.envelopes.getScope({ name: `scopes/${groupUid}` })).livingVersions;

describe('a process that is killed', () => {
  let tenant: Tenant;
  let secrets: { name: string }[];
  let version = 1;
  beforeAll(async () => {
    tenant = await newGroup();
    secrets = await Promise.all(Array.from({ length: SECRETS }, (_, i) => write(tenant.group, `${i} 1`)));
    for (let v = 2; v <= VERSIONS; v++)
      await Promise.all(
        secrets.map(({ name: parent }, i) => app!.secrets.addSecretVersion({ parent, payload: text(`${i} ${v}`), ...fresh() })),
      );
    await slowDown(stack, 0.3);
  });

  type Moment = [Service, string, (rotation: SecretGroupKeyRotation) => boolean];
  const some: Moment[] = [
    ['keys', 'right after the begin', () => true],
    ['store', 'between two batches', ({ doneCount }) => doneCount > 0n],
    ['audit', 'between two batches', ({ doneCount }) => doneCount > 0n],
    ['keys', 'before the old key is destroyed', ({ state }) => state === State.DESTROYING],
  ];
  const others: Moment[] = [
    ['store', 'right after the begin', () => true],
    ['keys', 'between two batches', ({ doneCount }) => doneCount > 0n],
    ['store', 'before the old key is destroyed', ({ state }) => state === State.DESTROYING],
  ];
  const moments = process.env['STRONGROOM_CRASH'] === 'all' ? [...some, ...others] : some;
  it.each(moments)('(%s, %s) is waited for, and nothing is lost', { timeout: 120_000 }, async (service, _, moment) => {
    await operator!.groups.rotateSecretGroupKey({ name: tenant.group, ...fresh() });
    await rotationOf(operator!, tenant.group, moment);
    await end(stack, service, 'SIGKILL');
    await sleep(300);
    await restart(stack);
    await rotationOf(operator!, tenant.group);
    version++;
    expect(await wrapsOf(stack, tenant.groupUid)).toEqual({ [`2/${version}`]: SECRETS * VERSIONS });
    expect(await livingOf(tenant)).toEqual([version]);
    for (const [i, { name }] of secrets.entries()) for (const v of [1, VERSIONS]) expect(await read(name, v)).toBe(`${i} ${v}`);
  });
});

describe('a store that is to replace keys after a purge', () => {
  it('does so for a group in which something was destroyed, once, and for no other', { timeout: 120_000 }, async () => {
    const [changed, untouched] = [await newGroup(), await newGroup()];
    const [gone, kept] = [await write(changed.group, 'gone'), await write(changed.group, 'kept')];
    await write(untouched.group, 'kept');
    await operator!.secrets.destroySecretVersion({ name: `${gone.name}/versions/1`, ...fresh() });
    await using replica = await startReplica(stack, 'store', { rekeyAfterPurge: '3s' });
    const done = await rotationOf(operator!, changed.group);
    expect(done).toMatchObject({ startedBy: spiffeIdOf('store'), keyVersion: 2 });
    expect(await livingOf(changed)).toEqual([2]);
    expect(await read(kept.name, 1)).toBe('kept');
    // Longer than the store waits between two looks.
    await sleep(6_000);
    expect(await livingOf(changed)).toEqual([2]);
    expect(await livingOf(untouched)).toEqual([1]);
    // What is destroyed later is a reason again.
    await operator!.secrets.destroySecretVersion({ name: `${kept.name}/versions/1`, ...fresh() });
    await rotationOf(operator!, changed.group, ({ keyVersion, state }) => keyVersion === 3 && state === State.DONE);
    expect(replica.log()).not.toContain('a step of a rekey failed');
  });
});
