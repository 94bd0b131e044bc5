// What a create leaves behind that died between the key service and the store is found and destroyed.
import { setTimeout as sleep } from 'node:timers/promises';
import { v7 as uuidv7 } from 'uuid';
import { afterAll, describe, expect, inject, it } from 'vitest';
import { RootKey_State } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { clientsOf, refusalOf } from '../support/clients.ts';
import { withDatabase } from '../support/stack.ts';

const stack = inject('stack');
const store = clientsOf(stack, 'store');
const operator = clientsOf(stack, 'operator');
afterAll(() => [store, operator].forEach((clients) => clients[Symbol.dispose]()));

const remember = (keyResource: string, minutesAgo: number) =>
  withDatabase(stack, 'store', (client) =>
    client.query('insert into unfinished_creates (key_resource, create_time) values ($1, now() - make_interval(mins => $2))', [
      keyResource,
      minutesAgo,
    ]),
  );
const waiting = (keyResource: string): Promise<number> =>
  withDatabase(stack, 'store', async (client) => {
    const { rows } = await client.query<{ count: string }>(
      'select count(*)::int as count from unfinished_creates where key_resource = $1',
      [keyResource],
    );
    return Number(rows[0]?.count);
  });
const until = async (condition: () => Promise<boolean>): Promise<void> => {
  for (const end = Date.now() + 15_000; !(await condition()); await sleep(100)) if (Date.now() > end) throw new Error('not within 15 s');
};

describe('a create that was interrupted', () => {
  it('leaves a root key that is destroyed after a while', async () => {
    const uid = uuidv7();
    const { name } = await store.keys.createRootKey({ parent: 'keyRings/provider', rootKeyId: uid, owner: uid });
    await remember(name, 11);
    await until(async () => (await waiting(name)) === 0);
    expect((await operator.keys.getRootKey({ name })).state).toBe(RootKey_State.DESTROYED);
  });

  it('leaves a scope that is destroyed after a while, or nothing if the key service had not heard of it', async () => {
    const uid = uuidv7();
    const root = await store.keys.createRootKey({ parent: 'keyRings/provider', rootKeyId: uid, owner: uid });
    const scopeUid = uuidv7();
    await store.envelopes.createScope({ scopeUid, rootKey: root.name, instanceUid: uid });
    const unheard = `scopes/${uuidv7()}`;
    await remember(`scopes/${scopeUid}`, 11);
    await remember(unheard, 11);
    await until(async () => (await waiting(`scopes/${scopeUid}`)) === 0 && (await waiting(unheard)) === 0);
    const context = { instanceUid: uid, resourceUid: uid, version: 1, additionalData: Buffer.alloc(0) };
    expect(await refusalOf(store.envelopes.generateDek({ scope: `scopes/${scopeUid}`, context }))).toMatchObject({
      reason: 'SCOPE_DESTROYED',
    });
  });

  it('is left alone while it may still be under way', async () => {
    const young = `scopes/${uuidv7()}`;
    await remember(young, 8);
    await sleep(5_000);
    expect(await waiting(young)).toBe(1);
  });

  it('is forgotten when the create ends as it should', async () => {
    const before = await withDatabase(stack, 'store', async (client) => (await client.query('select 1 from unfinished_creates')).rowCount);
    await operator.instances.createInstance({ instanceId: `ends-${uuidv7().slice(-6)}` });
    const after = await withDatabase(stack, 'store', async (client) => (await client.query('select 1 from unfinished_creates')).rowCount);
    expect(after).toBe(before);
  });
});
