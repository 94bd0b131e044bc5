// Rotation of a customer's root key: all that it protects moves to the new version in the background, and is readable all the time.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it, vi } from 'vitest';
import { RootKey } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { RootKeyRotation_State, RootKeyVersion_State } from '../../src/gen/strongroom/keys/v1/key_version_service.ts';
import { entriesOf, sizeOf } from '../support/audit-log.ts';
import { clientsOf, refusalOf, type Clients } from '../support/clients.ts';
import { grantUse, newCustomer, newWrap, type Customer } from '../support/customer-keys.ts';
import { startReplica } from '../support/replica.ts';
import { withDatabase } from '../support/stack.ts';

const { DONE, PAUSED } = RootKeyRotation_State;
const { PRIMARY, RETIRED, DESTROYED } = RootKeyVersion_State;
const stack = inject('stack');
let operator: Clients;
let store: Clients;
let auditor: Clients;
let customer: Customer;

beforeAll(async () => {
  [operator, store, auditor] = [clientsOf(stack, 'operator'), clientsOf(stack, 'store'), clientsOf(stack, 'auditor')];
  customer = await newCustomer(stack, operator);
  await grantUse(customer.manager, customer.ring);
});
afterAll(() => [operator, store, auditor, customer].forEach((one) => one[Symbol.dispose]()));

const rotate = (name: string, primaryVersion: number) => customer.manager.keyVersions.rotateRootKey({ name, primaryVersion });
const versions = async (parent: string) => (await customer.manager.keyVersions.listRootKeyVersions({ parent })).versions;
const moved = (name: string) => Array.fromAsync(customer.manager.watchRotation({ name }));
const opens = async ({ dek, ...request }: Awaited<ReturnType<typeof newWrap>>) =>
  (await store.envelopes.unwrapDek(request)).dek.equals(dek);

describe('a rotation', () => {
  it('moves every scope to the new version, leaves what was wrapped as it is, and lets the old version be destroyed', async () => {
    const { name } = await customer.newKey();
    const wraps = await Promise.all(Array.from({ length: 300 }, () => newWrap(store, name)));
    const begin = await sizeOf(auditor);
    expect(await rotate(name, 1)).toMatchObject({ name: `${name}/versions/2`, state: PRIMARY });
    expect((await moved(name)).at(-1)).toMatchObject({ state: DONE, primaryVersion: 2, scopeCount: 300n, movedCount: 300n });
    expect(await versions(name)).toMatchObject([
      { name: `${name}/versions/2`, state: PRIMARY, scopeCount: 300n, wrapCount: 300n },
      { name: `${name}/versions/1`, state: RETIRED, scopeCount: 0n, wrapCount: 300n },
    ]);
    expect((await store.envelopes.getScope({ name: wraps[0]!.scope })).rootKeyVersion).toBe(2);

    await customer.manager.keyVersions.destroyRootKeyVersion({ name: `${name}/versions/1` });
    expect((await versions(name)).map(({ state }) => state)).toEqual([PRIMARY, DESTROYED]);
    for (const wrap of wraps.slice(0, 50)) expect(await opens(wrap)).toBe(true);
    const actions = (await entriesOf(auditor, {}, begin)).map(({ event }) => event!).filter(({ resource }) => resource.startsWith(name));
    expect(actions.filter(({ action }) => /rotate|move|destroy/.test(action)).map(({ action }) => action)).toEqual([
      'keys.rootkey.rotate',
      'keys.rootkey.move',
      'keys.version.destroy',
    ]);
  });

  it('fails no read and no create while it goes on, on any replica', async () => {
    await using replica = await startReplica(stack, 'keys');
    using there = clientsOf(replica.stack, 'store');
    const { name } = await customer.newKey();
    const wraps = await Promise.all(Array.from({ length: 100 }, () => newWrap(store, name)));
    let going = true;
    const failures: unknown[] = [];
    const work = async (as: Clients) => {
      for (let i = 0; going; i++) {
        const { dek, ...request } = wraps[i % wraps.length]!;
        const [answer] = await Promise.all([as.envelopes.unwrapDek(request), i % 5 === 0 ? newWrap(as, name) : undefined]);
        if (!answer.dek.equals(dek)) failures.push('another DEK');
      }
    };
    const working = [store, there].map((as) => work(as).catch((error: unknown) => failures.push(error)));
    for (let version = 1; version <= 5; version++) {
      await rotate(name, version);
      await sleep(100);
    }
    const last = (await moved(name)).at(-1);
    going = false;
    await Promise.all(working);
    expect(failures).toEqual([]);
    expect(last).toMatchObject({ state: DONE, primaryVersion: 6 });
    const { scopeCount, movedCount } = await customer.manager.keyVersions.getRootKeyRotation({ name });
    expect(movedCount).toBe(scopeCount);
  });

  it('asked for again is done once, and of a version that is not there is refused', async () => {
    const { name } = await customer.newKey();
    for (let i = 0; i < 2; i++) expect((await rotate(name, 1)).name).toBe(`${name}/versions/2`);
    expect(await refusalOf(rotate(name, 3))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await refusalOf(rotate(name, 0))).toMatchObject({ reason: 'INVALID_FIELD', fields: ['primary_version'] });
    expect((await versions(name)).length).toBe(2);
  });

  it('rests while its key is disabled, and goes on when it is enabled', async () => {
    const { name } = await customer.newKey();
    const wrap = await newWrap(store, name);
    await withDatabase(stack, 'keys', async (owner) => {
      // The move is kept from beginning, as by a replica that is at it, until the key is disabled.
      await owner.query('begin');
      await owner.query(
        `select pg_advisory_xact_lock(hashtext('strongroom.chore'), hashtext('move scopes to the primary version of their root key'))`,
      );
      await rotate(name, 1);
      await customer.manager.keys.disableRootKey({ name });
      await owner.query('commit');
    });
    expect((await customer.manager.keyVersions.getRootKeyRotation({ name })).state).toBe(PAUSED);
    await customer.manager.keys.enableRootKey({ name });
    expect((await moved(name)).at(-1)).toMatchObject({ state: DONE, movedCount: 1n });
    expect(await opens(wrap)).toBe(true);
  });

  it('is made by the policy, when it is time, and the log says so', async () => {
    const { name, uid } = await customer.newKey({ rotationPolicy: { interval: { seconds: 86_400n, nanos: 0 } } });
    const { nextRotationTime } = await customer.manager.keys.getRootKey({ name });
    const ahead = nextRotationTime!.getTime() - Date.now();
    expect(ahead).toBeGreaterThan(77_000_000);
    expect(ahead).toBeLessThanOrEqual(86_400_000);
    await withDatabase(stack, 'keys', (owner) => owner.query('update root_keys set next_rotation_time = now() where key_uid = $1', [uid]));
    // Any change wakes the service; by itself it looks once a minute.
    await rotate((await customer.newKey()).name, 1);
    await vi.waitFor(async () => expect((await versions(name)).length).toBe(2), 3_000);
    const after = await customer.manager.keys.getRootKey({ name });
    expect(after.nextRotationTime!.getTime()).toBeGreaterThan(Date.now() + 77_000_000);
  });
});

describe('a version', () => {
  it('that protects something, or is the primary one, is not destroyed', async () => {
    const { name } = await customer.newKey();
    expect(await refusalOf(customer.manager.keyVersions.destroyRootKeyVersion({ name: `${name}/versions/1` }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'KEY_IN_USE',
    });
    expect((await refusalOf(customer.manager.keyVersions.destroyRootKeyVersion({ name: `${name}/versions/7` }))).code).toBe('NOT_FOUND');
    expect((await refusalOf(customer.manager.keyVersions.getRootKeyVersion({ name: `${name}/versions/0` }))).reason).toBe('MALFORMED_NAME');
  });

  it('whose scope does not open stays, and everything else moves', async () => {
    const { name } = await customer.newKey();
    const [damaged, whole] = [await newWrap(store, name), await newWrap(store, name)];
    await withDatabase(stack, 'keys', (owner) =>
      owner.query('update scope_versions set wrapped_key = set_byte(wrapped_key, 50, get_byte(wrapped_key, 50) # 1) where scope_uid = $1', [
        damaged.scope.slice('scopes/'.length),
      ]),
    );
    await rotate(name, 1);
    expect((await moved(name)).at(-1)).toMatchObject({ state: DONE, scopeCount: 2n, movedCount: 1n });
    expect(await opens(whole)).toBe(true);
    expect((await refusalOf(customer.manager.keyVersions.destroyRootKeyVersion({ name: `${name}/versions/1` }))).reason).toBe('KEY_IN_USE');
  });
});

it('a rotation policy is checked, and taken off by an update', async () => {
  const policy = (seconds: bigint, nanos = 0) => customer.newKey({ rotationPolicy: { interval: { seconds, nanos } } });
  for (const refused of [
    policy(3_600n),
    policy(400_000_000n),
    policy(86_400n, 1),
    customer.newKey({ rotationPolicy: { interval: undefined } }),
  ])
    expect((await refusalOf(refused)).fields).toEqual(['root_key.rotation_policy.interval']);
  const { name } = await policy(86_400n);
  const rootKey = RootKey.fromPartial({ name });
  const updated = await customer.manager.keys.updateRootKey({ rootKey, updateMask: ['rotation_policy'] });
  expect([updated.rotationPolicy, updated.nextRotationTime]).toEqual([undefined, undefined]);
});
