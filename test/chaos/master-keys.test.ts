// Rotations of the master key while the processes that do them are killed, one of them after the other: what is alive can be
// read all the time, and in the end there is one key.
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { configFileOf } from '../../src/dev/configs.ts';
import { ROOT, type Stack } from '../../src/dev/stack.ts';
import { EnvelopeServiceService } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { KeyServiceService } from '../../src/gen/strongroom/keys/v1/key_service.ts';
import { clientsOf, connectWith, materialOf, unary, type Clients } from '../support/clients.ts';
import { startStack, withDatabase, type TestStack } from '../support/stack.ts';
import { newTenant, type Tenant } from '../support/tenants.ts';

const ROUNDS = 4;
let own: TestStack;
let stack: Stack;
let operator: Clients;
let store: Clients;
beforeAll(async () => {
  own = await startStack();
  ({ stack } = own);
  [operator, store] = [clientsOf(stack, 'operator'), clientsOf(stack, 'store')];
});
afterAll(async () => {
  [operator, store].forEach((clients) => clients[Symbol.dispose]());
  await own[Symbol.asyncDispose]();
});

/** A replica beside the stack's own, with the same folder, that keeps old keys for five seconds only. */
const startReplica = (port: number): ChildProcess => {
  const config = JSON.parse(readFileSync(configFileOf(stack, 'keys'), 'utf8')) as { masterKeys: object };
  const file = join(stack.state, 'config', 'replica.json');
  const masterKeys = { ...config.masterKeys, keepFor: '5s' };
  writeFileSync(file, JSON.stringify({ ...config, masterKeys, listen: { host: '127.0.0.1', port } }));
  return spawn(process.execPath, [join(ROOT, 'src/main.ts'), 'keys', file], { stdio: 'ignore' });
};

const newDek = async ({ rootKey, instanceUid, groupUid }: Tenant) => {
  const context = { instanceUid, resourceUid: groupUid, version: 1, additionalData: Buffer.alloc(0) };
  const { dek, wrappedDek } = await store.envelopes.generateDek({ scope: `scopes/${groupUid}`, context });
  return { rootKey, request: { scope: `scopes/${groupUid}`, context, wrappedDek }, dek };
};

describe('a rotation', () => {
  it('is ended by another replica when the one that does it is killed, and no read fails meanwhile', { timeout: 240_000 }, async () => {
    const port = stack.ports.base + 17;
    const tenants = await Promise.all(Array.from({ length: 30 }, () => newTenant(operator)));
    const deks = await Promise.all(tenants.map(newDek));
    let reading = true;
    let reads = 0;
    const failures: unknown[] = [];
    const read = async (): Promise<void> => {
      for (; reading; reads++) {
        const { request, dek } = deks[reads % deks.length]!;
        const answer = await store.envelopes.unwrapDek(request).catch((error: unknown) => failures.push(error));
        if (typeof answer === 'object' && !answer.dek.equals(dek)) failures.push('another key');
        await sleep(2);
      }
    };
    const reader = read();
    let replica = startReplica(port);
    const client = connectWith(`127.0.0.1:${port}`, materialOf(stack, 'operator'));
    const keys = unary(client, KeyServiceService);
    try {
      for (let i = 0; i < ROUNDS; i++) {
        // By the replica; the stack's own takes over when it looks next, or the replica itself when it is back.
        const currentId = (await operator.keys.getMasterKeyStatus({})).current!.id;
        await vi.waitFor(() => keys.rotateMasterKey({ currentId }), { timeout: 20_000, interval: 20 });
        await sleep(Math.random() * 60);
        const ended = new Promise((resolve) => replica.once('exit', resolve));
        replica.kill('SIGKILL');
        await ended;
        replica = startReplica(port);
      }
      await vi.waitFor(
        async () => {
          const { previous, current, unknownIds } = await operator.keys.getMasterKeyStatus({});
          expect(previous).toEqual([]);
          expect(unknownIds).toEqual([]);
          expect(readdirSync(join(stack.state, 'master-keys'))).toEqual([`${current!.id}.key`]);
        },
        { timeout: 90_000, interval: 250 },
      );
      // Also by a replica that has cached nothing.
      const material = connectWith(`127.0.0.1:${port}`, materialOf(stack, 'store'));
      const envelopes = unary(material, EnvelopeServiceService);
      for (const { request, dek } of deks) expect((await envelopes.unwrapDek(request)).dek).toEqual(dek);
      material.close();
    } finally {
      reading = false;
      await reader;
      client.close();
      replica.kill('SIGKILL');
    }
    expect(failures).toEqual([]);
    expect(reads).toBeGreaterThan(200);
    const left = await withDatabase(stack, 'keys', async (database) => {
      const { rows } = await database.query<{ n: number }>('select count(*)::int as n from root_key_versions where ref is not null');
      return rows[0]?.n;
    });
    expect(left).toBe(tenants.length);
  });
});
