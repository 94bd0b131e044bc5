// Health, and a stop that lets calls under way end.
import type { Client } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HealthService, type HealthCheckResponse } from '../../src/gen/grpc/health/v1/health.ts';
import { Scope } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import {
  call,
  connect,
  contextOf,
  eventually,
  freePort,
  GET_SCOPE,
  newSite,
  scopeTable,
  SERVICE,
  spiffe,
  startServer,
  type Site,
} from './harness.ts';

let site: Site;
beforeAll(async () => {
  site = await newSite();
});
afterAll(() => site[Symbol.asyncDispose]());

const check = (client: Client, service: string): Promise<number | string> =>
  new Promise((resolve) => {
    const { path, requestSerialize, responseDeserialize } = HealthService.check;
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service }, (error, reply?: HealthCheckResponse) =>
      resolve(error ? `code ${error.code}` : (reply?.status ?? -1)),
    );
  });
const [SERVING, NOT_SERVING] = [1, 2];

/** What a health watch hears, until it ends. */
const watch = (client: Client): { heard: number[]; ended: Promise<void> } => {
  const { path, requestSerialize, responseDeserialize } = HealthService.watch;
  const heard: number[] = [];
  const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, { service: '' });
  stream.on('data', (reply: HealthCheckResponse) => heard.push(reply.status));
  const ended = new Promise<void>((resolve) => stream.on('error', () => resolve()).on('end', () => resolve()));
  return { heard, ended };
};

describe('health', () => {
  it('is served for the whole and for each service, to every peer with a certificate, and is not in the audit log', async () => {
    await using server = await startServer(site);
    const stranger = await site.authority.issue({ uris: [spiffe('probe')] });
    const client = server.client(contextOf(site, stranger));
    expect(await Promise.all(['', SERVICE, 'nothing.There'].map((service) => check(client, service)))).toEqual([
      SERVING,
      SERVING,
      'code 5',
    ]);
    expect(server.events).toEqual([]);
  });

  it('follows what the service needs, within a second or so, and tells who watches', async () => {
    let down = true;
    await using server = await startServer(site, {
      ready: async () => {
        if (down) throw new Error('the database is away');
      },
    });
    const client = server.client();
    expect(await check(client, SERVICE)).toBe(NOT_SERVING);
    const { heard } = watch(client);
    await eventually(() => heard.length === 1, 'the first state');
    down = false;
    await eventually(() => heard.length === 2, 'the change');
    expect(heard).toEqual([NOT_SERVING, SERVING]);
    expect(await check(client, '')).toBe(SERVING);
    // Calls are answered either way: health is for those who choose, not a gate.
    down = true;
    expect((await call(client)).code).toBe('OK');
  });
});

describe('metrics', () => {
  it('are served where the configuration says, count the calls, and name neither resource nor caller', async () => {
    const port = await freePort();
    await using server = await startServer(site, { config: { metrics: { host: '127.0.0.1', port } } });
    expect((await call(server.client())).code).toBe('OK');
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const label = `grpc_server_call_duration_seconds_count{grpc_method="${GET_SCOPE}",grpc_status="OK"} `;
    expect(Number(text.split(label)[1]?.split('\n')[0])).toBeGreaterThan(0);
    expect(text).not.toMatch(/scopes\/a|spiffe:/);
  });
});

describe('a stop', () => {
  it('lets a call under way end, takes no new connection, and then is done', async () => {
    let finish = (): void => undefined;
    let running = (): void => undefined;
    const begun = new Promise<void>((resolve) => (running = resolve));
    const gate = new Promise<void>((resolve) => (finish = resolve));
    const registrations = [
      scopeTable(async ({ name }) => {
        running();
        await gate;
        return Scope.fromPartial({ name });
      }),
    ];
    const server = await startServer(site, { registrations, config: { drain: 5_000 } });
    const client = connect(server.port, contextOf(site, site.app));
    const answer = call(client);
    await begun;
    let stopped = false;
    const stop = server[Symbol.asyncDispose]().then(() => (stopped = true));
    const late = connect(server.port, contextOf(site, site.app));
    expect((await call(late, undefined, { deadlineMs: 500 })).code).not.toBe('OK');
    expect(stopped).toBe(false);
    finish();
    expect((await answer).code).toBe('OK');
    expect(server.events).toHaveLength(1);
    await stop;
    client.close();
    late.close();
  });

  it('waits for a call that does not end, and for a health watch, only as long as the drain allows', async () => {
    const registrations = [scopeTable(() => new Promise(() => undefined))];
    const server = await startServer(site, { registrations, config: { drain: 300 } });
    const client = connect(server.port, contextOf(site, site.app));
    const { heard, ended } = watch(client);
    const answer = call(client);
    await eventually(() => heard.length === 1, 'the watch is open');
    const begun = performance.now();
    await server[Symbol.asyncDispose]();
    expect(performance.now() - begun).toBeGreaterThan(250);
    expect(performance.now() - begun).toBeLessThan(1_500);
    expect(heard).toEqual([SERVING, NOT_SERVING]);
    expect((await answer).code).not.toBe('OK');
    await ended;
    client.close();
  });

  it('of an idle server is done at once, also with connections open', async () => {
    const server = await startServer(site, { config: { drain: 5_000 } });
    const client = connect(server.port, contextOf(site, site.app));
    expect((await call(client)).code).toBe('OK');
    const begun = performance.now();
    await server[Symbol.asyncDispose]();
    expect(performance.now() - begun).toBeLessThan(1_000);
    client.close();
  });
});
