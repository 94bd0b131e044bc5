// One service of ours listening to another, over real mutual TLS.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EnvelopeServiceService, Scope, type GetScopeRequest } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { dial } from '../../src/kernel/client.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { register, type Call } from '../../src/kernel/table.ts';
import { openTls } from '../../src/kernel/tls.ts';
import { writeTlsFiles } from '../support/certs.ts';
import { eventually, newSite, recordingLog, SERVICE, spiffe, startServer, type Site } from './harness.ts';

let site: Site;
beforeAll(async () => {
  site = await newSite();
});
afterAll(() => site[Symbol.asyncDispose]());

const definition = { watchScope: { ...EnvelopeServiceService.getScope, path: `/${SERVICE}/WatchScope`, responseStream: true as const } };
type Source = (request: GetScopeRequest, call: Call) => AsyncIterable<Scope>;

const open = async (handler: Source) => {
  const limits = { requestBytes: 1_000, longestMs: 5_000 };
  const row = {
    action: 'keys.scope.watch',
    resource: (r: GetScopeRequest) => ({ name: r.name }),
    audit: 'read' as const,
    facts: [],
    limits,
    handler,
  };
  const server = await startServer(site, { registrations: [register(definition, { watchScope: row })] });
  const tls = openTls(writeTlsFiles(site.folder, site.authority, site.app, 'app'), recordingLog());
  const client = dial(definition, { address: `127.0.0.1:${server.port}`, spiffeId: spiffe('service/keys') }, tls, 'KEYS_UNAVAILABLE');
  return {
    server,
    client,
    [Symbol.asyncDispose]: async () => {
      await client[Symbol.asyncDispose]();
      await tls[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
};
const request = { name: 'scopes/a' };
const scope = (name: string) => Scope.fromPartial({ name });

describe('listening to another service', () => {
  it('brings what it sends, in order, and its end', async () => {
    await using world = await open(async function* () {
      for (let i = 0; i < 100; i++) yield scope(String(i));
    });
    const names: string[] = [];
    for await (const { name } of world.client.watchScope(request, { signal: new AbortController().signal })) names.push(name);
    expect(names).toEqual(Array.from({ length: 100 }, (_, i) => String(i)));
  });

  it('fails with the very error of the other service, or with its absence', async () => {
    const world = await open(async function* () {
      yield scope('one');
      throw new AppError('SCOPE_DESTROYED', 'its key is gone', { metadata: { resource: 'scopes/a' } });
    });
    const listen = () => Array.fromAsync(world.client.watchScope(request, { signal: new AbortController().signal }));
    await expect(listen()).rejects.toMatchObject({ reason: 'SCOPE_DESTROYED', metadata: { resource: 'scopes/a' } });
    await world.server[Symbol.asyncDispose]();
    await expect(listen()).rejects.toMatchObject({ reason: 'KEYS_UNAVAILABLE' });
    await world.client[Symbol.asyncDispose]();
  });

  it.each(['leaves', 'aborts'])('ends there too when who listens %s', async (how) => {
    let ended = false;
    await using world = await open(async function* (_, { signal }) {
      signal.addEventListener('abort', () => (ended = true), { once: true });
      for (; ; await sleep(10)) yield scope('one');
    });
    const stop = new AbortController();
    const listen = async () => {
      for await (const _ of world.client.watchScope(request, { signal: stop.signal })) {
        if (how === 'leaves') return;
        stop.abort();
      }
    };
    await listen().catch((error: unknown) => expect(error).toMatchObject({ reason: 'CANCELLED' }));
    await eventually(() => ended, 'the end of the handler');
  });
});
