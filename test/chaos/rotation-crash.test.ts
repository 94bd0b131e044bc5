// Rotations of a root key while the process that moves its scopes is killed, again and again: another one goes on, nothing is lost, and
// what the key protects can be read all the time.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, inject, it } from 'vitest';
import { RootKeyRotation_State } from '../../src/gen/strongroom/keys/v1/key_version_service.ts';
import { clientsOf } from '../support/clients.ts';
import { clientsAs } from '../support/identities.ts';
import { grantTo, grantUse, newCustomer, newWrap } from '../support/customer-keys.ts';
import { Role } from '../../src/gen/strongroom/keys/v1/grant_service.ts';
import { spiffe } from '../support/identities.ts';
import { startReplica } from '../support/replica.ts';
import { newId } from '../support/tenants.ts';

const ROUNDS = 6;
const SCOPES = 600;
const stack = inject('stack');

it('is ended by whoever is left, and no read fails meanwhile', { timeout: 120_000 }, async () => {
  using operator = clientsOf(stack, 'operator');
  using store = clientsOf(stack, 'store');
  using customer = await newCustomer(stack, operator);
  await grantUse(customer.manager, customer.ring);
  const path = newId('manager');
  await grantTo(operator, spiffe(path), Role.MANAGER, customer.ring);
  const { name } = await customer.newKey();
  const wraps: Awaited<ReturnType<typeof newWrap>>[] = [];
  while (wraps.length < SCOPES) wraps.push(...(await Promise.all(Array.from({ length: 50 }, () => newWrap(store, name)))));

  let [reading, reads] = [true, 0];
  const failures: unknown[] = [];
  const reader = (async () => {
    for (; reading; reads++) {
      const { dek, ...request } = wraps[reads % SCOPES]!;
      const answer = await store.envelopes.unwrapDek(request).catch((error: unknown) => void failures.push(error));
      if (answer && !answer.dek.equals(dek)) failures.push('another DEK');
      await sleep(2);
    }
  })();
  let interrupted = 0;
  for (let version = 1; version <= ROUNDS; version++) {
    await using replica = await startReplica(stack, 'keys');
    using there = await clientsAs(replica.stack, path);
    await there.keyVersions.rotateRootKey({ name, primaryVersion: version });
    await sleep(Math.random() * 80);
    await replica.kill('SIGKILL');
    const { state } = await customer.manager.keyVersions.getRootKeyRotation({ name });
    if (state === RootKeyRotation_State.MOVING) interrupted++;
  }
  // The one that is left looks once a minute by itself, and when it has something to do anyway.
  await customer.manager.keyVersions.rotateRootKey({ name: (await customer.newKey()).name, primaryVersion: 1 });
  const last = (await Array.fromAsync(customer.manager.watchRotation({ name }))).at(-1);
  reading = false;
  await reader;
  expect(failures).toEqual([]);
  expect(reads).toBeGreaterThan(100);
  expect(interrupted).toBeGreaterThan(0);
  expect(last).toMatchObject({ primaryVersion: ROUNDS + 1, scopeCount: BigInt(SCOPES), movedCount: BigInt(SCOPES) });
  for (const { dek, ...request } of wraps) expect((await store.envelopes.unwrapDek(request)).dek.equals(dek)).toBe(true);
});
