import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { AuditWriterServiceService } from '../../src/gen/strongroom/audit/v1/audit_writer_service.ts';
import { GetScopeRequest, Scope } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { denied, invalid } from '../../src/kernel/errors.ts';
import { register } from '../../src/kernel/table.ts';
import {
  APP,
  call,
  contextOf,
  echo,
  GET_SCOPE,
  newSite,
  scopeTable,
  SERVICE,
  spiffe,
  startServer,
  type Handler,
  type Site,
  type StartOptions,
} from './harness.ts';

let site: Site;
beforeAll(async () => {
  site = await newSite();
});
afterAll(() => site[Symbol.asyncDispose]());
const start = (handler: Handler = echo, options: StartOptions = {}) =>
  startServer(site, { registrations: [scopeTable(handler)], ...options });

describe('a call that goes well', () => {
  it('answers, names its request id, and leaves one entry that says who did what to what', async () => {
    await using server = await start();
    const answer = await call(server.client(), undefined, { headers: { 'x-correlation-id': 'corr-1' } });
    expect(answer.code).toBe('OK');
    expect(Scope.decode(answer.reply!).name).toBe('scopes/a');
    expect(answer.metadata.get('x-request-id')).toEqual(['corr-1']);
    expect(server.events).toHaveLength(1);
    expect(server.events[0]).toMatchObject({
      action: 'keys.scope.read',
      principal: APP,
      resource: 'scopes/a',
      outcome: Event_Outcome.SUCCESS,
      code: 0,
      correlationId: 'corr-1',
      sourceAddress: '127.0.0.1',
    });
    expect(server.log.lines).toContainEqual(expect.objectContaining({ level: 'debug', message: 'call', principal: APP, code: 'OK' }));
  });

  it('gets an id of its own if the caller’s is no plain word', async () => {
    await using server = await start();
    for (const sent of ['a b', 'x'.repeat(65), '{"a":1}']) {
      const answer = await call(server.client(), undefined, { headers: { 'x-correlation-id': sent } });
      expect(answer.metadata.get('x-request-id')[0]).toMatch(/^[0-9a-f-]{36}$/);
    }
  });

  it('writes what its handler annotates, or one entry for each item of a batch', async () => {
    await using server = await start(async (request, one) => {
      one.annotate({ resource: 'scopes/b', attributes: { version: '3' } });
      return Scope.fromPartial(request);
    });
    expect((await call(server.client())).code).toBe('OK');
    expect(server.events).toMatchObject([{ resource: 'scopes/b', attributes: new Map([['version', '3']]) }]);
    await using batch = await start(async (request, one) => {
      one.entries([{ resource: 'scopes/1' }, { resource: 'scopes/2', outcome: 'FAILURE', code: 5, reason: 'NOT_FOUND' }]);
      return Scope.fromPartial(request);
    });
    expect((await call(batch.client())).code).toBe('OK');
    expect(batch.events.map(({ resource, outcome, reason }) => [resource, outcome, reason])).toEqual([
      ['scopes/1', Event_Outcome.SUCCESS, ''],
      ['scopes/2', Event_Outcome.FAILURE, 'NOT_FOUND'],
    ]);
  });
});

describe('a peer', () => {
  it('with two URI names is connected, told why it is nobody, and never heard', async () => {
    const handler = vi.fn(echo);
    await using server = await start(handler);
    const two = await site.authority.issue({ uris: [APP, spiffe('operator')] });
    const answer = await call(server.client(contextOf(site, two)));
    expect(answer).toMatchObject({ code: 'UNAUTHENTICATED', info: { reason: 'IDENTITY_INVALID', domain: 'strongroom' } });
    expect(answer.details).toContain('2 URI names');
    expect(handler).not.toHaveBeenCalled();
    expect(server.events).toEqual([]);
  });

  it('of another trust domain is nobody, also when everybody may call', async () => {
    await using server = await start();
    const foreign = await site.authority.issue({ uris: ['spiffe://elsewhere.example/app'] });
    expect(await call(server.client(contextOf(site, foreign)))).toMatchObject({
      code: 'UNAUTHENTICATED',
      info: { reason: 'IDENTITY_INVALID' },
    });
  });

  it('whose certificate ends while it is connected is told to come back with a new one', async () => {
    await using server = await start();
    const brief = await site.authority.issue({ uris: [APP], notAfter: new Date(Date.now() + 1_500) });
    const client = server.client(contextOf(site, brief));
    expect((await call(client)).code).toBe('OK');
    await new Promise((resolve) => setTimeout(resolve, 1_600));
    const answer = await call(client);
    expect(answer).toMatchObject({ code: 'UNAUTHENTICATED', info: { reason: 'IDENTITY_INVALID' } });
    expect(answer.details).toContain('expired');
  });

  it('that the allowlist does not name is denied before its request is looked at, and that is recorded', async () => {
    const handler = vi.fn(echo);
    await using server = await start(handler, { config: { allow: { [SERVICE]: [spiffe('operator')] } } });
    for (const bytes of [GetScopeRequest.encode({ name: 'scopes/a' }).finish(), Buffer.from('garbage'), Buffer.alloc(5_000)]) {
      const answer = await call(server.client(), bytes);
      expect(answer).toMatchObject({ code: 'PERMISSION_DENIED', info: { reason: 'PERMISSION_DENIED' } });
    }
    expect(handler).not.toHaveBeenCalled();
    expect(server.events).toHaveLength(3);
    expect(server.events[0]).toMatchObject({
      action: 'keys.scope.read',
      principal: APP,
      outcome: Event_Outcome.DENIED,
      code: 7,
      reason: 'PERMISSION_DENIED',
    });
  });

  it('may be named for one method and for nothing else of the service: the method’s own list counts', async () => {
    await using server = await start(echo, { config: { allow: { [SERVICE]: [APP], [GET_SCOPE.slice(1)]: [spiffe('operator')] } } });
    expect((await call(server.client())).code).toBe('PERMISSION_DENIED');
    const operator = await site.authority.issue({ uris: [spiffe('operator')] });
    expect((await call(server.client(contextOf(site, operator)))).code).toBe('OK');
  });

  it('denied at the intake that logs nothing of its own is recorded all the same', async () => {
    const intake = register(AuditWriterServiceService, {
      appendEvents: {
        action: 'audit.event.append',
        resource: () => ({ name: 'log' }),
        audit: 'none',
        facts: [],
        limits: { requestBytes: 1_000, deadlineMs: 1_000 },
        handler: async () => ({ results: [] }),
      },
    });
    const path = '/strongroom.audit.v1.AuditWriterService/AppendEvents';
    await using server = await startServer(site, {
      registrations: [intake],
      config: { allow: { 'strongroom.audit.v1.AuditWriterService': [spiffe('service/store')] } },
    });
    expect((await call(server.client(), Buffer.alloc(0), { path })).code).toBe('PERMISSION_DENIED');
    expect(server.events).toMatchObject([{ action: 'audit.event.append', principal: APP, outcome: Event_Outcome.DENIED }]);
    const store = await site.authority.issue({ uris: [spiffe('service/store')] });
    expect((await call(server.client(contextOf(site, store)), Buffer.alloc(0), { path })).code).toBe('OK');
    expect(server.events).toHaveLength(1);
  });
});

describe('an allowlist', () => {
  it.each(['strongroom.keys.v1.EnvelopService', `${SERVICE}/GetScopes`, 'GetScope', '*'])(
    'entry %s that names nothing refuses the start',
    async (name) => {
      await expect(start(echo, { config: { allow: { [SERVICE]: ['*'], [name]: ['*'] } } })).rejects.toThrow(`allow.${name}: `);
    },
  );

  it('that leaves a method without callers refuses the start and names the method', async () => {
    await expect(start(echo, { config: { allow: {} } })).rejects.toThrow(GET_SCOPE.slice(1));
  });
});

describe('a request', () => {
  it('over the size of its method is refused with both numbers, and recorded', async () => {
    const handler = vi.fn(echo);
    await using server = await start(handler);
    const client = server.client();
    expect((await call(client, GetScopeRequest.encode({ name: 'x'.repeat(997) }).finish())).code).toBe('OK');
    handler.mockClear();
    const answer = await call(client, GetScopeRequest.encode({ name: 'x'.repeat(998) }).finish());
    expect(answer).toMatchObject({ code: 'RESOURCE_EXHAUSTED', info: { reason: 'MESSAGE_TOO_LARGE' } });
    expect(answer.info?.metadata).toEqual(
      new Map([
        ['bytes', '1001'],
        ['limit', '1000'],
      ]),
    );
    expect(handler).not.toHaveBeenCalled();
    expect(server.events.at(-1)).toMatchObject({ outcome: Event_Outcome.FAILURE, code: 8, reason: 'MESSAGE_TOO_LARGE' });
  });

  it.each([
    ['a length beyond the end', Buffer.of(0x0a, 0x7f, 0x41)],
    ['a field number of zero', Buffer.of(0x00, 0x01)],
    ['an end of a group that never began', Buffer.of(0x0a, 0x01, 0x41, 0x0c, 0x01)],
    ['a text that is not UTF-8', Buffer.of(0x0a, 0x02, 0xc3, 0x28)],
    ['an endless varint', Buffer.alloc(20, 0xff)],
    ['a group without an end', Buffer.of(0x0b)],
    ['a wire type that does not exist', Buffer.of(0x0f)],
  ])('that is no protobuf message is the caller’s mistake, not an internal error: %s', async (_, bytes) => {
    const handler = vi.fn(echo);
    await using server = await start(handler);
    expect(await call(server.client(), bytes)).toMatchObject({ code: 'INVALID_ARGUMENT', info: { reason: 'MALFORMED_MESSAGE' } });
    expect(handler).not.toHaveBeenCalled();
    expect(server.events).toMatchObject([{ principal: APP, outcome: Event_Outcome.FAILURE, code: 3, reason: 'MALFORMED_MESSAGE' }]);
  });

  it('for a name that is none is refused before authorization asks about it', async () => {
    const authorize = vi.fn(async () => undefined);
    const resource = (): never => {
      throw invalid('name', 'must be scopes/{uid}', 'MALFORMED_NAME');
    };
    await using server = await start(echo, { registrations: [scopeTable(echo, { resource })], authorize });
    expect(await call(server.client())).toMatchObject({ code: 'INVALID_ARGUMENT', info: { reason: 'MALFORMED_NAME' } });
    expect(authorize).not.toHaveBeenCalled();
  });

  it('that authorization denies never reaches its handler, and is recorded with the resource', async () => {
    const handler = vi.fn(echo);
    await using server = await start(handler, {
      authorize: async (one, resource) => {
        throw denied(one.action, resource.name);
      },
    });
    const answer = await call(server.client());
    expect(answer).toMatchObject({ code: 'PERMISSION_DENIED', info: { reason: 'PERMISSION_DENIED' } });
    expect(answer.info?.metadata).toEqual(
      new Map([
        ['action', 'keys.scope.read'],
        ['resource', 'scopes/a'],
      ]),
    );
    expect(handler).not.toHaveBeenCalled();
    expect(server.events).toMatchObject([{ resource: 'scopes/a', outcome: Event_Outcome.DENIED, reason: 'PERMISSION_DENIED' }]);
  });
});
