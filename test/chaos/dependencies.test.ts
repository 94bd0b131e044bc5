// What the store needs goes away and comes back: the key service, the audit log, PostgreSQL, killed or frozen. Calls end
// within their deadline and say what is missing, nothing is revealed, no process ends, and nobody has to restart anything.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { PARTS, SERVICES, spiffeIdOf, type Part, type Service, type Stack } from '../../src/dev/stack.ts';
import { HealthCheckResponse_ServingStatus as Health } from '../../src/gen/grpc/health/v1/health.ts';
import { Role } from '../../src/gen/strongroom/secrets/v1/binding_service.ts';
import { Secret } from '../../src/gen/strongroom/secrets/v1/secret_service.ts';
import { entriesOf } from '../support/audit-log.ts';
import { clientsOf, type Clients, type Refusal } from '../support/clients.ts';
import { properRefusalOf } from '../support/refusals.ts';
import { end, pidOf, restart, startStack, type TestStack } from '../support/stack.ts';
import { bind, fresh, newId, newTenant, text, type Tenant } from '../support/tenants.ts';

// Much longer than it takes: the machine may have other things to do.
vi.setConfig({ testTimeout: 120_000 });

let running: TestStack;
let stack: Stack;
let [operator, app, app2, auditor]: Clients[] = [];
let tenant: Tenant;
let secret = '';
const VALUE = 'the value that nobody may see';

beforeAll(async () => {
  running = await startStack();
  ({ stack } = running);
  [operator, app, app2, auditor] = (['operator', 'app', 'app2', 'auditor'] as const).map((name) => clientsOf(stack, name));
  tenant = await newTenant(operator!);
  await bind(operator!, tenant.group, spiffeIdOf('app'), Role.WRITER, Role.SECRETS_READER);
  secret = (await app!.secrets.createSecret({ parent: tenant.group, secretId: 'known', payload: text(VALUE), ...fresh() })).name;
});
afterAll(async () => {
  for (const clients of [operator, app, app2, auditor]) clients?.[Symbol.dispose]();
  await running[Symbol.asyncDispose]();
});

const TIMEOUT_MS = 4_000;
const options = { timeoutMs: TIMEOUT_MS };
const CALLS = {
  'read a payload': () => app!.access.accessSecretVersion({ name: `${secret}/versions/1` }, options),
  'read metadata': () => app!.secrets.getSecret({ name: secret }, options),
  'list secrets': () => app!.secrets.listSecrets({ parent: tenant.group }, options),
  'change metadata': () =>
    app!.secrets.updateSecret({ secret: Secret.fromPartial({ name: secret, description: newId('d') }), ...fresh() }, options),
  'add a version': () => app!.secrets.addSecretVersion({ parent: secret, payload: text('next'), ...fresh() }, options),
  'make a secret': () =>
    app!.secrets.createSecret({ parent: tenant.group, secretId: newId('s'), payload: text('new'), ...fresh() }, options),
  'make a group': () => operator!.groups.createSecretGroup({ parent: tenant.instance, secretGroupId: newId('g'), ...fresh() }, options),
  'make an instance': () => operator!.instances.createInstance({ instanceId: newId('t'), ...fresh() }, options),
  'look at a root key': () => operator!.keys.getRootKey({ name: tenant.rootKey }, options),
  'be denied': () =>
    app2!.secrets
      .getSecret({ name: secret }, options)
      .catch((error: { code: number }) => (error.code === 7 ? 'denied' : Promise.reject(error as unknown as Error))),
} satisfies Record<string, () => Promise<unknown>>;
type Name = keyof typeof CALLS;
const NAMES = Object.keys(CALLS) as Name[];

/** Makes the call; what is UNAVAILABLE says so in time, properly, and when to come back. */
const unavailable = async (name: Name): Promise<Refusal> => {
  const begun = performance.now();
  const refused = await properRefusalOf(CALLS[name](), [VALUE]);
  expect(performance.now() - begun, name).toBeLessThan(TIMEOUT_MS);
  expect(refused, name).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: expect.any(Number) as number });
  return refused;
};

/** All of them fail so, several of each at once. */
const allUnavailable = async (names: readonly Name[], reasons: readonly string[]): Promise<void> => {
  for (const { reason } of await Promise.all([...names, ...names, ...names].map(unavailable))) expect(reasons).toContain(reason);
};
const allWork = async (names: readonly Name[] = NAMES): Promise<void> => {
  for (const name of names) await CALLS[name]();
};

const worksAgain = () => vi.waitFor(() => allWork(), { timeout: 15_000, interval: 200 });

const pids = async (parts: readonly Part[] = PARTS) =>
  Object.fromEntries(await Promise.all(parts.map(async (part) => [part, await pidOf(stack, part)] as const)));
const healthOf = async (service: Service) => (await auditor!.health[service].check({ service: '' }, { timeoutMs: 1_000 })).status;
const healthIs = (service: Service, status: Health) =>
  vi.waitFor(async () => expect(await healthOf(service)).toBe(status), { timeout: 10_000, interval: 100 });

/** A server's processes: PostgreSQL has one for each connection. */
const family = (pid: number): number[] => {
  const parentOf = (name: string): number => {
    try {
      return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1]);
    } catch {
      return 0;
    }
  };
  return [
    pid,
    ...readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name) && parentOf(name) === pid)
      .map(Number),
  ];
};
const signal = async (part: Part, name: 'SIGSTOP' | 'SIGCONT'): Promise<void> => {
  for (const pid of family(await pidOf(stack, part))) process.kill(pid, name);
};

interface Fault {
  how: string;
  begin: (part: Part) => Promise<unknown>;
  heal: (part: Part) => Promise<unknown>;
}
const FAULTS: Fault[] = [
  { how: 'killed', begin: (part) => end(stack, part, 'SIGKILL'), heal: () => restart(stack) },
  { how: 'frozen', begin: (part) => signal(part, 'SIGSTOP'), heal: (part) => signal(part, 'SIGCONT') },
];

/** While it is gone, `check` holds; afterwards everything works again, and no other process has ended meanwhile. */
const without = async (part: Part, { begin, heal }: Fault, check: () => Promise<void>): Promise<void> => {
  await worksAgain();
  const others = PARTS.filter((other) => other !== part);
  const before = await pids(others);
  await begin(part);
  try {
    await check();
    expect(await pids(others)).toEqual(before);
  } finally {
    await heal(part);
  }
  await worksAgain();
  expect(await pids(others)).toEqual(before);
  for (const service of SERVICES) await healthIs(service, Health.SERVING);
};

const DENIALS: Name[] = ['be denied'];
describe.each(FAULTS)('while it is $how', (fault) => {
  const { how } = fault;
  it('the key service: payloads cannot be read or written, and all else works', () =>
    without('keys', fault, async () => {
      const need: Name[] = ['read a payload', 'add a version', 'make a secret', 'make a group', 'make an instance'];
      await allUnavailable(need, ['KEYS_UNAVAILABLE']);
      await allWork(['read metadata', 'list secrets', 'change metadata', 'be denied']);
      expect(await healthOf('store')).toBe(Health.SERVING);
    }));

  it('the audit log: nothing is read and nothing denied, and after five seconds nothing is changed any more', () =>
    without('audit', fault, async () => {
      await allUnavailable(['read a payload', 'read metadata', 'list secrets', 'be denied'], ['AUDIT_UNAVAILABLE']);
      await CALLS['change metadata']();
      await vi.waitFor(() => unavailable('change metadata'), { timeout: 15_000, interval: 250 });
      await allUnavailable(NAMES, ['AUDIT_UNAVAILABLE']);
    }));

  it.runIf(how === 'killed' || existsSync('/proc'))(
    'PostgreSQL: nothing works, every service says that it does not serve, and none of them ends',
    () =>
      without('postgres', fault, async () => {
        await allUnavailable(NAMES, ['DATABASE_UNAVAILABLE', 'AUDIT_UNAVAILABLE']);
        for (const service of SERVICES) await healthIs(service, Health.NOT_SERVING);
        const log = await properRefusalOf(auditor!.auditLog.listEntries({ pageSize: 1 }, options));
        expect(log).toMatchObject({ code: 'UNAVAILABLE' });
      }),
  );
});

describe('changes made while the audit log is away', () => {
  it('are in it once it is back, each once, in their order; those refused are not', async () => {
    await worksAgain();
    await end(stack, 'audit', 'SIGKILL');
    const made: string[] = [];
    const refused: string[] = [];
    for (const until = Date.now() + 7_000; Date.now() < until; await sleep(250)) {
      const description = newId('during');
      const update = app!.secrets.updateSecret(
        { secret: Secret.fromPartial({ name: secret, description }), ...fresh() },
        { ...options, metadata: { 'x-correlation-id': description } },
      );
      await update.then(
        () => made.push(description),
        () => refused.push(description),
      );
    }
    expect(made.length).toBeGreaterThan(10);
    expect(refused.length).toBeGreaterThan(2);
    await restart(stack);
    await vi.waitFor(() => allWork(DENIALS), { timeout: 10_000 });
    await vi.waitFor(
      async () => {
        const told = (await entriesOf(auditor!, { resource: secret }))
          .map(({ event }) => event!)
          .filter(({ correlationId }) => correlationId.startsWith('during-'));
        expect(told.map(({ correlationId }) => correlationId)).toEqual(made);
      },
      { timeout: 10_000, interval: 200 },
    );
    expect((await app!.secrets.getSecret({ name: secret })).description).toBe(made.at(-1));
  });
});

describe('callers with little time', () => {
  it('are told in time that the audit log is frozen, also behind callers with much time', async () => {
    await worksAgain();
    await signal('audit', 'SIGSTOP');
    try {
      const patient = Array.from({ length: 8 }, () =>
        app!.access.accessSecretVersion({ name: `${secret}/versions/1` }, { timeoutMs: 9_000 }).catch(() => undefined),
      );
      await sleep(300);
      const hasty = Array.from({ length: 8 }, () =>
        properRefusalOf(app!.access.accessSecretVersion({ name: `${secret}/versions/1` }, { timeoutMs: 2_000 })),
      );
      for (const refusal of await Promise.all(hasty)) expect(refusal).toMatchObject({ code: 'UNAVAILABLE', reason: 'AUDIT_UNAVAILABLE' });
      await signal('audit', 'SIGCONT');
      await Promise.all(patient);
    } finally {
      await signal('audit', 'SIGCONT');
    }
    await worksAgain();
  });
});
