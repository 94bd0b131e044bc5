// One service of ours calling another, over real mutual TLS.
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EnvelopeServiceService, Scope } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { dialAuditor } from '../../src/kernel/audit.ts';
import { dial } from '../../src/kernel/client.ts';
import { AppError } from '../../src/kernel/errors.ts';
import { register } from '../../src/kernel/table.ts';
import { openTls } from '../../src/kernel/tls.ts';
import { AuditWriterServiceService, type AppendEventsRequest } from '../../src/gen/strongroom/audit/v1/audit_writer_service.ts';
import { Event } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { newAuthority, writeTlsFiles } from '../support/certs.ts';
import { APP, eventually, freePort, newSite, recordingLog, scopeTable, spiffe, startServer, type Handler, type Site } from './harness.ts';

let site: Site;
beforeAll(async () => {
  site = await newSite();
});
afterAll(() => site[Symbol.asyncDispose]());

const soon = () => Date.now() + 3_000;
const asApp = (own = site) => openTls(writeTlsFiles(own.folder, own.authority, own.app, 'app'), recordingLog());
const KEYS = spiffe('service/keys');

const open = async (handler: Handler, { expected = KEYS, port }: { expected?: typeof KEYS; port?: number } = {}) => {
  const server = await startServer(site, { registrations: [scopeTable(handler)] });
  const tls = asApp();
  const definition = { getScope: EnvelopeServiceService.getScope };
  const client = dial(definition, { address: `127.0.0.1:${port ?? server.port}`, spiffeId: expected }, tls, 'KEYS_UNAVAILABLE');
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

describe('a call to another service', () => {
  it('arrives as who we are, with the correlation id it was given, and brings the reply', async () => {
    await using world = await open(async ({ name }, call) =>
      Scope.fromPartial({ name: `${name} ${call.principal} ${call.correlationId}` }),
    );
    const reply = await world.client.getScope({ name: 'scopes/a' }, { deadline: soon(), correlationId: 'corr-1' });
    expect(reply.name).toBe(`scopes/a ${APP} corr-1`);
  });

  it('fails with the very error of the other service', async () => {
    await using world = await open(async () => {
      throw new AppError('SCOPE_DESTROYED', 'its key is gone', { metadata: { resource: 'scopes/a' } });
    });
    await expect(world.client.getScope({ name: 'scopes/a' }, { deadline: soon() })).rejects.toMatchObject({
      reason: 'SCOPE_DESTROYED',
      message: 'its key is gone',
      metadata: { resource: 'scopes/a' },
    });
  });

  it('leaves the other service a part of the time, so that we can still say what happened', async () => {
    let left = 0;
    await using world = await open(async ({ name }, call) => {
      left = call.deadline - Date.now();
      return Scope.fromPartial({ name });
    });
    await world.client.getScope({ name: 'the handshake' }, { deadline: soon() });
    await world.client.getScope({ name: 'scopes/a' }, { deadline: Date.now() + 1_000 });
    expect(left).toBeGreaterThan(500);
    expect(left).toBeLessThanOrEqual(800);
  });

  it('that is not answered in time is the other service’s absence, not the caller’s deadline', async () => {
    await using world = await open(() => new Promise(() => undefined));
    const begun = Date.now();
    await expect(world.client.getScope({ name: 'scopes/a' }, { deadline: begun + 500 })).rejects.toMatchObject({
      reason: 'KEYS_UNAVAILABLE',
      code: 'UNAVAILABLE',
    });
    expect(Date.now() - begun).toBeLessThan(500);
  });

  it('goes to nobody but the service it is meant for, whatever certificate of our CA is there', async () => {
    let reached = false;
    await using world = await open(
      async ({ name }) => {
        reached = true;
        return Scope.fromPartial({ name });
      },
      { expected: spiffe('service/audit') },
    );
    await expect(world.client.getScope({ name: 'scopes/a' }, { deadline: Date.now() + 1_000 })).rejects.toMatchObject({
      reason: 'KEYS_UNAVAILABLE',
    });
    expect(reached).toBe(false);
  });

  it('goes to no server of another CA', async () => {
    const impostor = await newAuthority();
    const files = writeTlsFiles(site.folder, impostor, await impostor.issue({ uris: [KEYS] }), 'impostor');
    // The impostor takes our own clients, so that only our check of it can fail.
    writeFileSync(join(site.folder, 'ca.crt'), site.authority.cert);
    await using server = await startServer(site, { files });
    await using world = await open(async ({ name }) => Scope.fromPartial({ name }), { port: server.port });
    await expect(world.client.getScope({ name: 'scopes/a' }, { deadline: Date.now() + 1_000 })).rejects.toMatchObject({
      reason: 'KEYS_UNAVAILABLE',
    });
    expect(server.events).toEqual([]);
  });

  it('to a port where nobody is fails as unavailable, and succeeds as soon as somebody is, without a restart', async () => {
    const free = await freePort();
    await using world = await open(async ({ name }) => Scope.fromPartial({ name }), { port: free });
    await expect(world.client.getScope({ name: 'scopes/a' }, { deadline: Date.now() + 500 })).rejects.toMatchObject({
      reason: 'KEYS_UNAVAILABLE',
      retryAfterMs: 1_000,
    });
    await using server = await startServer(site, { config: { listen: { host: '127.0.0.1', port: free } } });
    // A call made while the channel waits before it tries again fails at once.
    const end = Date.now() + 3_000;
    let answered = false;
    while (!answered && Date.now() < end) {
      answered = await world.client.getScope({ name: 'scopes/a' }, { deadline: Date.now() + 500 }).then(
        () => true,
        () => new Promise<false>((resolve) => setTimeout(() => resolve(false), 20)),
      );
    }
    expect(answered).toBe(true);
    expect(server.events.length).toBeGreaterThan(0);
  });

  it('uses a new certificate of ours after it has changed on disk', async () => {
    await using own = await newSite();
    await using server = await startServer(own, {
      registrations: [scopeTable(async (_, call) => Scope.fromPartial({ name: call.principal }))],
    });
    await using tls = asApp(own);
    await using client = dial(
      { getScope: EnvelopeServiceService.getScope },
      { address: `127.0.0.1:${server.port}`, spiffeId: KEYS },
      tls,
      'KEYS_UNAVAILABLE',
    );
    const who = async () => (await client.getScope({ name: '' }, { deadline: soon() })).name;
    expect(await who()).toBe(APP);
    let reloaded = false;
    tls.onReload(() => (reloaded = true));
    writeTlsFiles(own.folder, own.authority, await own.authority.issue({ uris: [spiffe('app2')] }), 'app');
    await eventually(() => reloaded, 'the new certificate is read');
    expect(await who()).toBe(spiffe('app2'));
  });
});

describe('the audit log as its clients see it', () => {
  const event = (eventId: string): Event => Event.fromPartial({ eventId });
  const intake = async (handler: (request: AppendEventsRequest) => (bigint | AppError)[]) => {
    const calls: string[][] = [];
    const registration = register(AuditWriterServiceService, {
      appendEvents: {
        action: 'audit.event.append',
        resource: () => ({ name: 'log' }),
        audit: 'none',
        facts: [],
        limits: { requestBytes: 1_000_000, deadlineMs: 3_000 },
        handler: async (request) => {
          calls.push(request.events.map((one) => one.eventId));
          // One turn, so that what arrives meanwhile gathers.
          await new Promise((resolve) => setTimeout(resolve, 20));
          return {
            results: handler(request).map((one) =>
              one instanceof AppError
                ? { outcome: { $case: 'error' as const, value: { code: one.grpcCode, reason: one.reason, message: one.message } } }
                : { outcome: { $case: 'index' as const, value: one } },
            ),
          };
        },
      },
    });
    const server = await startServer(site, { registrations: [registration] });
    const tls = asApp();
    const auditor = dialAuditor({ address: `127.0.0.1:${server.port}`, spiffeId: KEYS }, tls);
    return {
      auditor,
      calls,
      [Symbol.asyncDispose]: async () => {
        await auditor[Symbol.asyncDispose]();
        await tls[Symbol.asyncDispose]();
        await server[Symbol.asyncDispose]();
      },
    };
  };

  it('takes single events of many calls together, and answers each with its own index', async () => {
    await using world = await intake(({ events }) => events.map((one) => BigInt(one.eventId)));
    const indexes = await Promise.all(Array.from({ length: 50 }, (_, i) => world.auditor.append([event(String(i))], soon())));
    expect(indexes.flat()).toEqual(Array.from({ length: 50 }, (_, i) => BigInt(i)));
    expect(world.calls.length).toBeLessThanOrEqual(3);
  });

  it('takes several events of one append in one call and in their order', async () => {
    await using world = await intake(({ events }) => events.map((one) => BigInt(one.eventId)));
    const [many] = await Promise.all([
      world.auditor.append(['3', '1', '2'].map(event), soon()),
      world.auditor.append([event('9')], soon()),
    ]);
    expect(many).toEqual([3n, 1n, 2n]);
    expect(world.calls).toContainEqual(['3', '1', '2']);
  });

  it('refuses one event without harm to the others', async () => {
    await using world = await intake(({ events }) =>
      events.map((one) => (one.eventId === '1' ? new AppError('EVENT_ID_REUSED', 'other content') : 7n)),
    );
    const [bad, good] = await Promise.allSettled([world.auditor.append([event('1')], soon()), world.auditor.append([event('2')], soon())]);
    expect(bad).toMatchObject({ status: 'rejected', reason: { reason: 'EVENT_ID_REUSED' } });
    expect(good).toEqual({ status: 'fulfilled', value: [7n] });
  });

  it('has nothing to do with no events', async () => {
    await using world = await intake(() => []);
    expect(await world.auditor.append([], soon())).toEqual([]);
    expect(world.calls).toEqual([]);
  });
});

describe('certificates at the start', () => {
  it('that do not fit together, or have ended, stop the start and name the file', async () => {
    await using own = await newSite();
    const log = recordingLog();
    const other = await own.authority.issue({ uris: [APP] });
    writeFileSync(own.files.keyFile, other.key);
    expect(() => openTls(own.files, log)).toThrow(`${own.files.keyFile} is not the key of ${own.files.certFile}`);
    writeTlsFiles(own.folder, own.authority, await own.authority.issue({ uris: [APP], notAfter: new Date(Date.now() - 1_000) }));
    expect(() => openTls(own.files, log)).toThrow(`${own.files.certFile} is not valid now`);
    rmSync(own.files.caFile);
    expect(() => openTls(own.files, log)).toThrow('ca.crt');
  });
});
