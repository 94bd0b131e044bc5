import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Event_Outcome } from '../../src/gen/strongroom/audit/v1/audit_service.ts';
import { Scope } from '../../src/gen/strongroom/keys/v1/envelope_service.ts';
import { AppError } from '../../src/kernel/errors.ts';
import {
  call,
  echo,
  eventually,
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

describe('a handler', () => {
  it('that throws what nobody expected answers with a fixed sentence and the request id; only the log has the text', async () => {
    await using server = await start(async () => {
      throw new Error('password=hunter2 for row (name)=(top-secret)');
    });
    const answer = await call(server.client(), undefined, { headers: { 'x-correlation-id': 'corr-9' } });
    expect(answer).toMatchObject({
      code: 'INTERNAL',
      details: 'internal error; the log has it under request id corr-9',
      info: { reason: 'INTERNAL' },
    });
    const sent = JSON.stringify(
      [answer.details, answer.metadata.toJSON(), [...(answer.info?.metadata ?? [])], server.events],
      (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v),
    );
    expect(sent).not.toMatch(/hunter2|top-secret/);
    expect(Buffer.concat(answer.metadata.get('grpc-status-details-bin').map((v) => Buffer.from(v))).toString('latin1')).not.toMatch(
      /hunter2|top-secret/,
    );
    expect(server.events).toMatchObject([{ outcome: Event_Outcome.FAILURE, code: 13, reason: 'INTERNAL' }]);
    expect(server.log.lines).toContainEqual(
      expect.objectContaining({ level: 'error', correlationId: 'corr-9', error: expect.stringContaining('hunter2') as string }),
    );
  });

  it('may throw anything, or at once, and the next call is served', async () => {
    const thrown: unknown[] = ['text', undefined, null, { code: 5, message: 'not ours' }];
    await using server = await start((request) => {
      // oxlint-disable-next-line typescript/only-throw-error
      if (thrown.length > 0) throw thrown.shift();
      return echo(request, {} as never);
    });
    const client = server.client();
    for (let i = 0; i < 4; i++) expect((await call(client)).code).toBe('INTERNAL');
    expect((await call(client)).code).toBe('OK');
  });

  it('that throws an error of ours answers with its reason, its fields and the delay after which to try again', async () => {
    await using server = await start(async () => {
      throw new AppError('TOO_MANY_REQUESTS', 'slow down', { retryAfterMs: 1_500 });
    });
    expect(await call(server.client())).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      details: 'slow down',
      info: { reason: 'TOO_MANY_REQUESTS' },
      retry: { retryDelay: { seconds: 1n, nanos: 500_000_000 } },
    });
  });

  it('that takes longer than its method allows ends with DEADLINE_EXCEEDED, its signal aborted, and an entry', async () => {
    let reason: unknown;
    const registrations = [
      scopeTable((_, { signal }) => new Promise(() => signal.addEventListener('abort', () => (reason = signal.reason))), {
        limits: { requestBytes: 1_000, deadlineMs: 100 },
      }),
    ];
    await using server = await start(echo, { registrations });
    expect(await call(server.client())).toMatchObject({ code: 'DEADLINE_EXCEEDED', info: { reason: 'DEADLINE_EXCEEDED' } });
    expect(reason).toMatchObject({ reason: 'DEADLINE_EXCEEDED' });
    expect(server.events).toMatchObject([{ outcome: Event_Outcome.FAILURE, code: 4, reason: 'DEADLINE_EXCEEDED' }]);
  });

  it('knows the caller’s deadline when that is earlier, and is aborted by it', async () => {
    let seen: { left: number; aborted: boolean } | undefined;
    await using server = await start((_, { deadline, signal }) => {
      const left = deadline - Date.now();
      return new Promise(() => signal.addEventListener('abort', () => (seen = { left, aborted: signal.aborted })));
    });
    expect((await call(server.client(), undefined, { deadlineMs: 200 })).code).toBe('DEADLINE_EXCEEDED');
    await eventually(() => seen !== undefined, 'the signal is aborted');
    expect(seen?.left).toBeLessThanOrEqual(200);
    await eventually(() => server.events.length === 1, 'the call is recorded');
  });

  it('is aborted when the caller cancels, and the call is recorded as cancelled', async () => {
    let aborted = false;
    let running = (): void => undefined;
    const begun = new Promise<void>((resolve) => (running = resolve));
    await using server = await start((_, { signal }) => {
      running();
      return new Promise(() => signal.addEventListener('abort', () => (aborted = true)));
    });
    let cancel = (): void => undefined;
    const answer = call(server.client(), undefined, { started: (c) => (cancel = c) });
    await begun;
    cancel();
    expect((await answer).code).toBe('CANCELLED');
    await eventually(() => aborted && server.events.length === 1, 'the handler is aborted and the call recorded');
    expect(server.events).toMatchObject([{ outcome: Event_Outcome.FAILURE, code: 1, reason: 'CANCELLED' }]);
  });
});

describe('the audit log', () => {
  it('out of reach makes the call fail, and nothing of the reply leaves', async () => {
    await using server = await start(async () => Scope.fromPartial({ name: 'the-plaintext' }));
    server.auditor.failure = new AppError('AUDIT_UNAVAILABLE', 'the audit log could not be reached');
    const answer = await call(server.client());
    expect(answer).toMatchObject({
      code: 'UNAVAILABLE',
      reply: undefined,
      info: { reason: 'AUDIT_UNAVAILABLE' },
      retry: { retryDelay: { seconds: 1n } },
    });
  });

  it('out of reach makes a denied call fail as well: what cannot be recorded is not answered', async () => {
    await using server = await start(echo, { config: { allow: { [SERVICE]: [spiffe('operator')] } } });
    server.auditor.failure = new AppError('AUDIT_UNAVAILABLE', 'the audit log could not be reached');
    expect(await call(server.client())).toMatchObject({ code: 'UNAVAILABLE', info: { reason: 'AUDIT_UNAVAILABLE' } });
  });

  it('has the entry before the last check of a handler runs, whose refusal is the answer then', async () => {
    let eventsAtCheck = -1;
    await using server = await start(async (request, one) => {
      one.guard(() => {
        eventsAtCheck = server.events.length;
        throw new AppError('KEY_DESTROYED', 'the key was destroyed meanwhile');
      });
      return Scope.fromPartial(request);
    });
    expect(await call(server.client())).toMatchObject({ code: 'FAILED_PRECONDITION', reply: undefined, info: { reason: 'KEY_DESTROYED' } });
    expect(eventsAtCheck).toBe(1);
  });

  it('gets nothing from here for a successful call whose entry is written with the change itself', async () => {
    await using server = await start(echo, { registrations: [scopeTable(echo, { audit: 'write' })] });
    expect((await call(server.client())).code).toBe('OK');
    expect(server.events).toEqual([]);
    expect((await call(server.client(), Buffer.of(0x0f))).code).toBe('INVALID_ARGUMENT');
    expect(server.events).toHaveLength(1);
  });
});
